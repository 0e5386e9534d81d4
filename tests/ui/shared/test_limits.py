from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from detection_core.ui.shared.limits import BodyLimit
from tests.asynchronous import run_async

MEGABYTE = 2**20


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def client() -> TestClient:
    routes = [
        Route(path, count, methods=["POST"])
        for path in ("/gradio_api/run/detect", "/gradio_api/run/upload", "/gradio_api/upload", "/sub/gradio_api/upload/")
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(BodyLimit)]))


def chunks(size: int) -> Iterator[bytes]:
    """A body without a length."""
    for _ in range(size // 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("make", [lambda size: b"x" * size, chunks], ids=["with length", "without length"])
@pytest.mark.parametrize(("megabytes", "status"), [(1, 200), (3, 413)], ids=["small", "large"])
@pytest.mark.parametrize("path", ["/gradio_api/run/detect", "/gradio_api/run/upload"])
def test_bounds_requests(client, path, make, megabytes, status):
    answer = client.post(path, content=make(megabytes * MEGABYTE))
    assert answer.status_code == status
    if status == 413:
        assert "images of at most 50 MB" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/sub/gradio_api/upload/"])
def test_uploads_have_their_own_limit(client, path):
    assert client.post(path, content=b"x" * 3 * MEGABYTE).text == str(3 * MEGABYTE)
    assert client.post(path, content=b"x" * 52 * MEGABYTE).status_code == 413
    assert client.post(path, content=chunks(52 * MEGABYTE)).status_code == 413


def test_uploads_may_be_as_large_as_videos():
    app = Starlette(
        routes=[Route("/gradio_api/upload", count, methods=["POST"])], middleware=[Middleware(BodyLimit, largest_file=60 * MEGABYTE)]
    )
    client = TestClient(app)
    assert client.post("/gradio_api/upload", content=b"x" * 60 * MEGABYTE).status_code == 200
    answer = client.post("/gradio_api/upload", content=b"x" * 62 * MEGABYTE)
    assert answer.status_code == 413
    assert "videos of at most 60 MB" in answer.json()["detail"]


def sent_slowly(parts: list[tuple[float, Any]], **limits: Any) -> list[int]:
    """The statuses of the responses to a body whose parts come after pauses; None is a client that goes."""
    app = Starlette(routes=[Route("/gradio_api/upload", count, methods=["POST"])], middleware=[Middleware(BodyLimit, **limits)])
    statuses = []
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        pause, body = waiting.pop(0) if waiting else (60, b"")
        await asyncio.sleep(pause)
        return {"type": "http.disconnect"} if body is None else {"type": "http.request", "body": body, "more_body": body != b"."}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "query_string": b"", "headers": []}
    run_async(app(scope, receive, send))
    return statuses


@pytest.mark.parametrize(
    ("parts", "statuses"),
    [
        ([(0, b"."), (60, b"")], [200]),
        ([(0.01, b"x"), (0.01, b"."), (60, b"")], [200]),
        ([(60, b".")], [408]),
        ([(0, b"x"), (60, b".")], [408]),
        # Never silent for long, and yet too slow.
        ([(0.02, b"x")] * 1000, [408]),
        # 400 kB earn 100 seconds more.
        ([(0, b"x" * 400_000), (0.5, b".")], [200]),
        ([(0, b"x"), (0, None)], []),
    ],
    ids=["at once", "in parts", "nothing", "half", "drops", "large and late", "gone"],
)
def test_bounds_the_time_of_requests(parts, statuses):
    assert sent_slowly(parts, patience=0.2) == statuses
