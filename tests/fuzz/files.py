"""Fuzzes the readers of images and videos."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from detection_core.images.limits import ImageError, ImageLimits
from detection_core.images.reading import read_image, read_stored
from detection_core.video.io import VideoLimits, open_video
from tests.fuzz.checks import check_image, check_message, require
from tests.fuzz.mutation import mutated_bytes
from tests.fuzz.readers import Reader
from tests.images.tiffs import tiff
from tests.video.io.videos import make_video

_LIMITS = ImageLimits(max_pixels=1_000_000, max_side=4000)
_VIDEO_LIMITS = VideoLimits(max_seconds=20, max_bytes=5_000_000, frame=_LIMITS)
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_FRAMES = 30


def _image(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([x * 6, y * 8, (x + y) * 3], axis=2).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _saved(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    stream = io.BytesIO()
    _image(mode).save(stream, kind, **how)
    return stream.getvalue()


def _frames() -> list[Image.Image]:
    return [_image().rotate(turn) for turn in (90, 180)]


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _images(_: Path) -> list[bytes]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Comment", "hello " * 20, zip=True)
    wide = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
    colors = np.stack([wide, wide + 1, wide + 2], axis=2)
    found = [
        _saved("JPEG", exif=_exif(6), icc_profile=profile), _saved("JPEG", progressive=True), _saved("JPEG", "L"), _saved("JPEG", "CMYK"),
        _saved("JPEG", restart_marker_rows=1), _saved("MPO", save_all=True, append_images=_frames()),
        _saved("PNG", pnginfo=text, icc_profile=profile, exif=_exif(8)), _saved("PNG", "RGBA"), _saved("PNG", "P"), _saved("PNG", "1"),
        _saved("PNG", "LA"), _saved("PNG", "I;16"), _saved("PNG", save_all=True, append_images=_frames(), default_image=True),
        _saved("WebP", exif=_exif(3), icc_profile=profile), _saved("WebP", lossless=True), _saved("WebP", "RGBA"),
        _saved("WebP", save_all=True, append_images=_frames()),
        *(_saved("BMP", mode) for mode in ("RGB", "P", "1", "RGBA")),
        _saved("GIF", "P"), _saved("GIF", save_all=True, append_images=_frames(), transparency=0),
        _saved("AVIF"), _saved("AVIF", "RGBA"),
        _saved("AVIF", save_all=True, append_images=_frames()),
        *(_saved("TIFF", mode) for mode in ("RGB", "RGBA", "L", "P", "1", "CMYK", "F", "I")),
        *(_saved("TIFF", compression=how) for how in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits", "zstd")),
        _saved("TIFF", save_all=True, append_images=_frames()),
        tiff(wide), tiff(wide, order=">", big=True), tiff(colors, compression="deflate", predictor=2), tiff(colors, planar=True),
        tiff(wide.astype(np.float32), predictor=3, compression="deflate"), tiff(wide.astype(np.float64)), tiff(wide.astype(np.int16)),
        tiff(wide.astype(np.uint32), tile=16, compression="lzw"), tiff(colors, photometric=2, rows=7),
        tiff(wide, no_data="7", photometric=0),
        tiff(wide, wide[:15, :20], tags=({254: [1]}, {254: [0]})), tiff(wide.astype(np.int8), compression="lzw", rows=3),
    ]  # fmt: skip
    return [*found, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"PK\x03\x04", b"\r\n" + found[0], found[1][:700], *_bombs()]


def _bombs() -> list[bytes]:
    """Small files that say, or unpack to, hundreds of megabytes."""
    zeros = zlib.compress(bytes(2**26))
    png = _saved("PNG")
    at = png.index(b"IDAT") - 4
    profile, text = (_chunk(kind, b"a\0\0" + zeros) for kind in (b"iCCP", b"zTXt"))
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    gif = bytearray(_saved("GIF", "P"))
    gif[6:10] = b"\xff\xff\xff\xff"
    return [
        _PNG + _chunk(b"IHDR", huge) + _chunk(b"IDAT", zeros) + _chunk(b"IEND", b""),
        png[:at] + profile + png[at:],
        png[:at] + text + png[at:],
        png[:at] + _chunk(b"IDAT", zeros) + png[-12:],
        bytes(gif),
    ]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _mutated_image(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes, of which a PNG's checksums mostly fit, because a wrong one would hide what is behind it."""
    data = mutated_bytes(random, seeds)
    return _with_checksums(data) if data.startswith(_PNG) and random.random() < 0.8 else data


def _with_checksums(data: bytes) -> bytes:
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join([*parts, data[at:]])


def _read_image(data: bytes, folder: Path) -> object:
    path = folder / "image"
    path.write_bytes(data)
    try:
        stored, _ = read_stored(path)
        require(stored.mode == "RGB", f"a stored image is {stored.mode}")
    except ImageError as error:
        check_message(str(error))
    loaded = read_image(data, limits=_LIMITS)
    _LIMITS.check(loaded.image.size)
    check_image(loaded.image)
    for note in loaded.notes:
        check_message(note)
    return loaded


def _videos(folder: Path) -> list[bytes]:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("a.mp4", {"beep": (0.6, 0.2)}), ("b.mov", {"turned": (90, False, False)}), ("c.webm", {"codec": "libvpx-vp9"}),
        ("d.mkv", {"codec": "ffv1", "pixels": "gray", "beep": (0.6, 0.2)}), ("e.avi", {"codec": "mpeg4"}),
        ("f.gif", {"codec": "gif", "pixels": "rgb8"}),
        ("g.ts", {}), ("h.flv", {"codec": "flv1"}), ("i.mpg", {"codec": "mpeg1video", "fps": 25}), ("j.wmv", {"codec": "wmv2"}),
        ("k.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}), ("l.mp4", {"pixels": "yuv420p10le"}), ("m.mkv", {}),
    ]  # fmt: skip
    return [make_video(folder / name, 6, **how).read_bytes() for name, how in kinds]


def _read_video(data: bytes, folder: Path) -> object:
    path = folder / "video"
    path.write_bytes(data)
    video = open_video(path, _VIDEO_LIMITS)
    _LIMITS.check(video.size)
    require(video.duration > 0 and 0 < video.fps <= 1000, f"{video.fps} frames a second, {video.duration} seconds")
    before = -1.0
    for number, frame in enumerate(video.frames()):
        require(frame.image.shape == (video.size[1], video.size[0], 3) and frame.image.dtype == np.uint8, f"a frame is {frame.image.shape}")
        require(frame.time_s >= before, "time runs backward")
        before = frame.time_s
        if number == _MOST_FRAMES:
            break
    for note in video.notes:
        check_message(note)
    check_message(video.codec)
    return video


IMAGES = Reader(_images, _mutated_image, _read_image)
VIDEOS = Reader(_videos, mutated_bytes, _read_video)
