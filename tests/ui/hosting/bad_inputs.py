"""What may be sent to a server to harm it: images, names, files, bodies, addresses and heads of requests, by what they are."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image

from benchmarks.house import ROOT
from detection_core.models.catalog import ASSETS

META = {"_type": "gradio.FileData"}
GOOD = (ASSETS / "examples" / "astronaut.jpg").read_bytes()
MEGABYTE = 2**20
LONG = "x" * 100_000


def png(width: int, height: int, *, more: bytes = b"", depth: int = 1, pixels: bytes = b"\0" * 1000) -> bytes:
    """A PNG file of that size by its header."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def saved(form: str, size: tuple[int, int] = (64, 64)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, form)
    return file.getvalue()


def zipped(megabytes: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(megabytes * MEGABYTE))
    return file.getvalue()


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header claims that size."""
    data = bytearray(saved("JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


IMAGES: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\xff",
    "text": b"not an image",
    "zeros": bytes(100_000),
    "HTML": b"<html><script>alert(1)</script></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "SVG of entities": b'<!DOCTYPE s [<!ENTITY a "' + b"a" * 1000 + b'"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>',
    "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj",
    "PostScript, which Pillow would run": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
    "video": b"\0\0\0\x20ftypisom" + bytes(1000),
    "zip bomb": zipped(20),
    "gzip bomb": gzip.compress(bytes(20 * MEGABYTE)),
    "JPEG, its first bytes": GOOD[:200],
    "JPEG of 4 gigapixels": jpeg_of_size(65_500, 65_500),
    "JPEG of no height": jpeg_of_size(64, 0),
    "PNG, its signature": b"\x89PNG\r\n\x1a\n",
    "PNG of 400 megapixels": png(20_000, 20_000, pixels=bytes(20_000 * 20_001 // 8)),
    "PNG of 4 billion pixels a side": png(2**31 - 1, 2**31 - 1),
    "PNG of no pixels": png(0, 0),
    "PNG of an impossible depth": png(10, 10, depth=77),
    "PNG with a wrong check sum": png(64, 64).replace(b"IHDR", b"IHDR\0", 1),
    "PNG, its sides too different": png(30_000, 1, pixels=bytes(3751)),
    "GIF of 4 gigapixels": b"GIF89a\xff\xff\xff\xff\0\0\0;",
    "GIF, its first bytes": saved("GIF")[:20],
    "BMP of 2 gigapixels": saved("BMP").replace(struct.pack("<ii", 64, 64), struct.pack("<ii", 50_000, 50_000), 1),
    "WebP, its first bytes": saved("WEBP")[:25],
    "TIFF whose directory leads to itself": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "TIFF of a directory beyond its end": b"II*\0\xff\xff\xff\x7f",
    "AVIF of nothing": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(100),
}


NAMES = {
    "in a folder above": "../../../../etc/cron.d/a.jpg",
    "absolute": "/etc/passwd",
    "of Windows": "C:\\Windows\\..\\..\\a.jpg",
    "dots": "..",
    "HTML": "<img src=x onerror=alert(1)>.html",
    "SVG": "a.svg",
    "right to left": "photo\u202egpj.exe",
    "a NUL character": "a\0.jpg",
    "control characters": "a\r\nX-Header: 1\x1b[31m.jpg",
    "long": f"{'x' * 5000}.jpg",
    "emoji, long": "\U0001f600" * 300,
    "empty": " ",
    "a device": "CON.jpg",
    "a format": "%s%n{0.__class__}.jpg",
}


FORGED: dict[str, Any] = {
    "a file of the server": {"path": "/etc/passwd", "meta": META},
    "a folder above": {"path": "../../../etc/passwd", "meta": META},
    "an address of a file": {"path": "file:///etc/passwd", "meta": META},
    "an address of a file in url": {"url": "file:///etc/passwd", "meta": META},
    "a private address": {"path": "http://169.254.169.254/latest/meta-data", "meta": META},
    "a private address in url": {"url": "http://127.0.0.1:22/", "path": None, "meta": META},
    "other schemes": {"path": "gopher://127.0.0.1/1", "meta": META},
    "a UNC path": {"path": "\\\\evil\\share\\a.jpg", "meta": META},
    "the process": {"path": "/proc/self/environ", "meta": META},
    "the application": {"path": str(ROOT / "app.py"), "meta": META},
    "within a list": [[{"path": "/etc/passwd", "meta": META}]],
    "a large data URL": {"url": f"data:image/png;base64,{LONG}", "meta": META},
}


FORM = {"content-type": "multipart/form-data; boundary=b"}
JSON = {"content-type": "application/json"}
PART = b'--b\r\nContent-Disposition: form-data; name="files"'
BODIES: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "JSON of 30 MB": ("gradio_api/call/detect", b'{"data": ["' + b"x" * 30 * MEGABYTE + b'"]}', JSON),
    "a data URL of 3 MB": ("gradio_api/call/detect", b'{"data": ["data:image/png;base64,' + b"A" * 3 * MEGABYTE + b'"]}', JSON),
    "JSON, deep": ("gradio_api/call/detect", b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", JSON),
    "JSON, cut off": ("gradio_api/call/detect", b'{"data": [', JSON),
    "JSON with half a character": ("gradio_api/call/detect", b'{"data": ["\xff\xfe"]}', JSON),
    "JSON with a number of 100 kB": ("gradio_api/call/detect", b'{"data": ' + b"9" * 100_000 + b"}", JSON),
    "JSON in UTF-16": ("gradio_api/call/detect", '{"data": 1}'.encode("utf-16"), JSON),
    "a gzip bomb as JSON": ("gradio_api/call/detect", gzip.compress(bytes(20 * MEGABYTE)), JSON | {"content-encoding": "gzip"}),
    "component, deep": ("gradio_api/component_server", b"[" * 200_000 + b"]" * 200_000, JSON),
    "component, cut off": ("gradio_api/component_server", b'{"data": ', JSON),
    "queue, deep": ("gradio_api/queue/join", b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", JSON),
    "upload, JSON": ("gradio_api/upload", b"{}", JSON),
    "upload, no kind": ("gradio_api/upload", b"x", {}),
    "upload, no boundary": ("gradio_api/upload", b"x", {"content-type": "multipart/form-data"}),
    "upload, another boundary": ("gradio_api/upload", b"--c\r\n\r\nx\r\n--c--", FORM),
    "upload, text for the file": ("gradio_api/upload", PART + b"\r\n\r\nx\r\n--b--", FORM),
    "upload, no name": ("gradio_api/upload", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", FORM),
    "upload, a header of 100 kB": ("gradio_api/upload", PART + b"\r\nX: " + LONG.encode() + b"\r\n\r\nx\r\n--b--", FORM),
    "upload, 2,000 files": ("gradio_api/upload", (PART + b'; filename="a"\r\n\r\nx\r\n') * 2000 + b"--b--", FORM),
    "API, no boundary": ("api/v1/detect", b"x", {"content-type": "multipart/form-data"}),
    "API, another boundary": ("api/v1/detect", b"--c\r\n\r\nx\r\n--c--", FORM),
    "API, a header of 100 kB": ("api/v1/detect", PART + b"\r\nX: " + LONG.encode() + b"\r\n\r\nx\r\n--b--", FORM),
    "API, 2,000 files": ("api/v1/detect", (PART + b'; filename="a"\r\n\r\nx\r\n') * 2000 + b"--b--", FORM),
    "API, 2,000 fields": ("api/v1/detect", (PART + b"\r\n\r\nx\r\n") * 2000 + b"--b--", FORM),
    "API, 60 MB": ("api/v1/detect", bytes(60 * MEGABYTE), {"content-type": "image/png"}),
    "API, a model of 100 kB": ("api/v1/detect", GOOD, {"content-type": "image/jpeg", "X-Query": f"model={LONG[:30_000]}"}),
    "API, a threshold that is no number": ("api/v1/detect", GOOD, {"content-type": "image/jpeg", "X-Query": "threshold=NaN"}),
    "API, an infinite threshold": ("api/v1/compare", GOOD, {"content-type": "image/jpeg", "X-Query": "threshold=Infinity"}),
    "API, NUL characters": ("api/v1/track", GOOD, {"content-type": "image/jpeg", "X-Query": "stream=%00&model=%00"}),
}  # fmt: skip


ADDRESSES = {
    "a file above": "/gradio_api/file=../../../../etc/passwd",
    "a file above, escaped": "/gradio_api/file=%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a file of the server": "/gradio_api/file=/etc/passwd",
    "a file, two slashes": "/gradio_api/file=//etc/passwd",
    "a file with a NUL character": "/gradio_api/file=/etc/passwd%00.jpg",
    "a file by its address": "/gradio_api/file=file:///etc/passwd",
    "a file of a private address": "/gradio_api/file=http://169.254.169.254/",
    "a file of a long name": f"/gradio_api/file={LONG[:8000]}",
    "the source": f"/gradio_api/file={ROOT}/app.py",
    "a module above": "/gradio_api/explorer/../../app.py",
    "a module above, escaped": "/gradio_api/explorer/x/%2e%2e/%2e%2e/app.py",
    "static, above": "/static/../../../../etc/passwd",
    "assets, above": "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "results of nobody": "/gradio_api/call/detect/nothing",
    "an address with half a character": "/%ff%fe",
    "the API above": "/api/v1/../../etc/passwd",
    "the API's results": "/api/v1/detect/%00",
}


HEADS: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
    "a header of 1 MB": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MEGABYTE + b"\r\n\r\n",
    "300,000 headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 300_000 + b"\r\n",
    "an address of 1 MB": b"GET /" + b"x" * MEGABYTE + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a negative length": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a length in words": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: ten\r\n\r\n",
    "two lengths": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a huge length": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999\r\n\r\nx",
    "chunks without a size": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
    "an unknown encoding": b"POST /gradio_api/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "no such method": b"EXPLODE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
}
