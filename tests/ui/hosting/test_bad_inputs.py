"""A server in a process of its own, over real sockets: files, names, paths, headers and bodies meant to break it, and slow senders."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.house import ROOT
from benchmarks.load import SUSPICIOUS, resources, server
from detection_core.models.catalog import PERSON_MODEL
from tests.ui.hosting.bad_inputs import ADDRESSES, BODIES, FORGED, FORM, GOOD, HEADS, IMAGES, META, NAMES, PART

# What may be left of all this in memory.
LEFT = 50


@dataclass(frozen=True)
class Server:
    """A running server."""

    address: str
    process: int
    folder: Path
    log: Path
    web: httpx.Client

    def memory(self) -> float:
        return float(resources(self.process, self.folder)[0])

    def errors(self) -> list[str]:
        return [line for line in self.log.read_text("utf-8").splitlines() if SUSPICIOUS.search(line)]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("host")
    with server(folder) as (address, process, log), httpx.Client(base_url=address, timeout=60) as web:
        running = Server(address, process, folder, log, web)
        serves(running)
        yield running


def serves(host: Server) -> None:
    """Detects a person by both interfaces."""
    assert in_page(host, "a.jpg", GOOD)[0]["summary"] == "1 person"
    assert by_api(host, "a.jpg", GOOD).json()["summary"] == "1 person"


def in_page(host: Server, name: str, content: bytes) -> Any:
    """What Gradio's endpoint responds to an upload: its data, or a sentence."""
    response = host.web.post("/gradio_api/upload", files={"files": (name, content)})
    if response.status_code != 200:
        return refused(host, response)
    return called(host, {"path": response.json()[0], "meta": META})


def called(host: Server, image: Any) -> Any:
    event = host.web.post("/gradio_api/call/detect", json={"data": [image, PERSON_MODEL, 0.5]}).json()["event_id"]
    stream = host.web.get(f"/gradio_api/call/detect/{event}").text
    ((kind, said),) = re.findall(r"^event: (complete|error)\ndata: (.*)$", stream, re.MULTILINE)
    return json.loads(said) if kind == "complete" else readable(host, json.loads(said)["error"])


def by_api(host: Server, name: str, content: bytes) -> httpx.Response:
    files = {"image": (name, content)}
    return host.web.post("/api/v1/detect", params={"model": PERSON_MODEL, "threshold": 0.5}, files=files)


def refused(host: Server, response: httpx.Response) -> str:
    """The text of a response that says that the request is at fault."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:300])
    return readable(host, response.text)


def readable(host: Server, text: str) -> str:
    """A sentence for people, without a place on the server."""
    assert 0 < len(text) < 1500
    assert not re.search(rf"Traceback|site-packages|{re.escape(str(ROOT))}|{re.escape(str(host.folder))}", text)
    return text


@pytest.mark.parametrize("content", IMAGES.values(), ids=IMAGES)
def test_says_why_an_image_cannot_be_used(host: Server, content: bytes):
    assert isinstance(in_page(host, "a.jpg", content), str)
    problem = json.loads(refused(host, by_api(host, "a.jpg", content)))
    assert problem["type"] in ("docs#unreadable-image", "docs#no-image", "docs#too-large")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_files_do_no_harm(host: Server, name: str):
    """A name changes neither where a file goes nor what is found in it, and it comes back as data only."""
    response = by_api(host, name, GOOD)
    of_api = response.json() if response.status_code == 200 else refused(host, response)
    for found in (in_page(host, name, GOOD), [of_api]):
        if isinstance(found, str) or isinstance(found[0], str):
            assert name in (NAMES["dots"], NAMES["long"])
            continue
        assert found[0]["summary"] == "1 person"
        assert not found[0].get("file_name", "").startswith(("/", "..", "C:"))
    inside = (host.folder / "uploads").resolve()
    assert {path.parent.parent for path in inside.rglob("*") if path.is_file() and path.parent != inside} == {inside}


@pytest.mark.parametrize("image", FORGED.values(), ids=FORGED)
def test_opens_no_file_but_uploads(host: Server, image: Any):
    said = called(host, image)
    assert isinstance(said, str)
    assert "root:" not in said


@pytest.mark.parametrize(("path", "body", "headers"), BODIES.values(), ids=BODIES)
def test_refuses_bodies_that_it_cannot_read(host: Server, path: str, body: bytes, headers: dict[str, str]):
    headers = dict(headers)
    query = headers.pop("X-Query", "")
    refused(host, host.web.post(f"{path}?{query}", content=body, headers=headers))


@pytest.mark.parametrize("path", ADDRESSES.values(), ids=ADDRESSES)
def test_has_no_other_files(host: Server, path: str):
    status, said = raw(host, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    # An event stream has begun before it is known that there is nothing to send.
    assert 400 <= status < 500 or "404" in said
    assert "root:" not in said
    readable(host, said.replace(path.partition("=")[2], ""))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_refuses_heads_that_it_cannot_read(host: Server, head: bytes):
    status, said = raw(host, head)
    assert status in (400, 405, 411, 413, 414, 431, 501, 505), said
    readable(host, said)


def connect(host: Server) -> socket.socket:
    parts = urlsplit(host.address)
    return socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=10)


def raw(host: Server, request: bytes) -> tuple[int, str]:
    """Status and text of the response to bytes; 400 where the server only closes the connection."""
    with connect(host) as connection:
        response = b""
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                response += part
        except ConnectionError:
            pass
    head, _, body = response.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 400), (body.decode("utf-8", "replace") or "closed")


def test_serves_others_while_many_send_slowly_or_stop(host: Server):
    form = f"Host: a\r\nContent-Type: {FORM['content-type']}\r\nContent-Length: 1000000\r\n\r\n".encode()
    half = PART + b'; filename="a.jpg"\r\n\r\n' + GOOD[:50_000]
    starts = [
        b"",
        b"GET / HTTP/1.1\r\nHo",
        b"POST /gradio_api/upload HTTP/1.1\r\n" + form,
        b"POST /gradio_api/upload HTTP/1.1\r\n" + form + half,
        b"POST /api/v1/detect HTTP/1.1\r\n" + form + half.replace(b"files", b"image"),
        b'POST /gradio_api/call/detect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"data": [',
    ]
    with ExitStack() as stack:
        for start in starts * 20:
            stack.enter_context(connect(host)).sendall(start)
        serves(host)
    # All have stopped in the middle.
    serves(host)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_comes_back(host: Server):
    def again() -> None:
        for name, content in IMAGES.items():
            in_page(host, "a.jpg", content)
            if "bomb" in name or "pixels" in name:
                by_api(host, "a.jpg", content)
        for name, (path, body, headers) in BODIES.items():
            # Slow, because each is a file.
            if "2,000 files" not in name:
                host.web.post(path, content=body, headers=headers)

    again()
    before = host.memory()
    again()
    assert host.memory() < before + LEFT


def test_has_logged_no_traceback(host: Server):
    serves(host)
    assert host.errors() == []
    metrics = host.web.get("/metrics").text
    assert 'status="499"' in metrics
    assert 'status="5' not in metrics
