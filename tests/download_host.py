"""A download host on this machine that misbehaves in every way that the real one might."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class DownloadHost:
    """Serves `files` until set to misbehave; `requests` records what was asked.

    break_after: for each of the next requests, bytes after which the connection is dropped (None: it is not).
    statuses: for each of the next requests, the HTTP status to answer with instead (0: the file).
    length: what every answer says of its length, whatever it is.
    hold_after: bytes after which every answer waits until `go_on` is set.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    hold_after: int | None = None
    ignore_range: bool = False
    send_length: bool = True
    length: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> DownloadHost:
        self.go_on = threading.Event()
        self.holding = threading.Event()
        handler = type("Handler", (_Handler,), {"host": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/models"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request."""
        return [request.get("Range") for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    host: DownloadHost

    def do_GET(self) -> None:
        host = self.host
        host.requests.append({"path": self.path, **dict(self.headers)})
        status = host.statuses.pop(0) if host.statuses else 0
        body = host.files.get(self.path.rpartition("/")[2])
        if status or body is None:
            self.send_error(status or 404)
            return
        start = self._start()
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if host.send_length:
            self.send_header("Content-Length", host.length or str(len(body) - start))
        self.end_headers()
        break_after = host.break_after.pop(0) if host.break_after else None
        rest = body[start:break_after] if break_after is not None else body[start:]
        hold = len(rest) if host.hold_after is None else host.hold_after
        self.wfile.write(rest[:hold])
        if hold < len(rest):
            host.holding.set()
            host.go_on.wait(10)
            self.wfile.write(rest[hold:])

    def _start(self) -> int:
        asked = self.headers.get("Range")
        return 0 if asked is None or self.host.ignore_range else int(asked.removeprefix("bytes=").rstrip("-"))

    def log_message(self, *_: object) -> None:
        """Tests need no access log."""


@contextmanager
def machine_without_weights(home: Path, **host: Any) -> Iterator[pytest.MonkeyPatch]:
    """A machine of its own, with no weights in its cache and nothing to download but what the host's options say."""
    with DownloadHost(**host) as served, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("DETECTION_EXPLORER_WEIGHTS_MIRROR", served.url)
        yield patch
