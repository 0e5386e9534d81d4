"""Middleware around an application of one line, for what a served page cannot show."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from detection_core.ui.hosting.headers import frame_ancestors
from detection_core.ui.hosting.middleware import middleware
from detection_core.ui.hosting.requests import kind_of_address
from tests.asynchronous import run_async


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def serve(**options: Any) -> TestClient:
    routes = [Route("/", answer, methods=["GET", "POST"]), WebSocketRoute("/talk", talk)]
    return TestClient(Starlette(routes=routes, middleware=middleware(None, 1000, **options)))


def test_a_password_may_have_colons_and_any_letters():
    client = serve(auth=[("ada", "x"), ("größe", "pässwört:ü")])
    assert client.get("/", auth=("ada", "x")).text == "hello"
    assert client.get("/", auth=("größe".encode(), "pässwört:ü".encode())).text == "hello"
    assert client.get("/", auth=("größe".encode(), "pässwört".encode())).status_code == 401


@pytest.mark.parametrize(
    ("options", "headers"), [({"auth": [("a", "b")]}, {}), ({}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})]
)
def test_sockets_are_guarded_too(options: dict[str, Any], headers: dict[str, str]):
    with pytest.raises(WebSocketDisconnect), serve(**options).websocket_connect("/talk", headers=headers):
        pass
    with serve().websocket_connect("/talk") as socket:
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://lab.example:7860", "lab.example:7860", 200),
        ("http://LAB.example", "lab.example", 200),
        ("http://lab.example:7861", "lab.example:7860", 403),
        ("http://lab.example.evil.example", "lab.example", 403),
        ("http://evil.example/lab.example", "lab.example", 403),
    ],
)
def test_over_plain_http_the_origin_must_be_the_servers_own(origin: str, host: str, status: int):
    assert serve().post("/", headers={"Origin": origin, "Host": host}).status_code == status


def test_all_sites_can_be_allowed():
    response = serve(allowed_origins=["*"]).post("/", headers={"Origin": "https://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://any.example"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, ("'self'", "https://a.example")), ({"SPACE_ID": "me/it"}, ("'self'", "https://a.example", "https://huggingface.co"))],
)
def test_on_hugging_face_its_own_site_may_embed_the_page(environ: dict[str, str], expected: tuple[str, ...]):
    assert frame_ancestors(["https://a.example"], environ) == expected


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "page"),
        ("/gradio_api/upload", "upload"),
        ("/gradio_api/file=/tmp/a/holiday.jpg", "file"),
        ("/api/v1/detect", "api"),
        ("/x" * 99, "other"),
    ],
)
def test_kinds_of_addresses_are_few(path: str, kind: str):
    assert kind_of_address(path) == kind


def test_an_application_that_fails_still_has_its_response_counted(caplog: pytest.LogCaptureFixture):
    async def fail(*_: Any) -> None:
        raise ValueError("no")

    guarded: Any = fail
    for each in reversed(middleware(None, 1000)):
        guarded = each.cls(guarded, *each.args, **each.kwargs)
    scope = {"type": "http", "method": "BREW", "path": "/", "headers": []}
    with caplog.at_level("INFO", "detection_core"), pytest.raises(ValueError, match="no"):
        run_async(guarded(scope, None, None))
    (logged,) = [record.facts for record in caplog.records if record.message == "request"]
    assert (logged["status"], logged["method"]) == (500, "other")
