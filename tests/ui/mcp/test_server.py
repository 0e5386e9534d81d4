"""The tools as assistants use them: through the protocol's own client, over real HTTP, with real models."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

pytest.importorskip("mcp", reason="the tools need the package mcp: pip install -r requirements-mcp.txt")

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from detection_core.engine import EngineBusyError, LocalEngine
from detection_core.formats import from_json
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec, list_models
from detection_core.models.detector import Detector
from detection_core.settings import Settings
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.mcp.server import McpServer, mcp_route
from detection_core.ui.service import Service
from detection_core.ui.shared.image_urls import UnreachableHostError
from tests.asynchronous import run_async
from tests.download_host import machine_without_weights
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine

IMAGE = ASSETS / "examples" / "grace_hopper.jpg"
BASE64 = base64.b64encode(IMAGE.read_bytes()).decode()
LINES = "\n".join(BASE64.rstrip("=")[start : start + 76] for start in range(0, len(BASE64), 76))
AUTH = ("ada", "correct horse")
FRIEND = "https://friend.example"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A public host's page with a password and tools, and a proxy's prefix."""
    with machine_without_weights(tmp_path_factory.mktemp("home")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        # Would start Gradio's own server.
        patch.setenv("GRADIO_MCP_SERVER", "True")
        engine = LocalEngine()
        settings = Settings(auth=(AUTH,), allowed_origins=(FRIEND,), mcp=True, root_path="/detection")
        app = build_app(engine, settings=settings)
        app.launch(prevent_thread_lock=True, quiet=True, root_path=settings.root_path, **launch_options(None, settings))
        yield f"http://127.0.0.1:{app.server_port}"
        app.close(verbose=False)
        engine.close()


def ask(address: str, name: str, **arguments: Any) -> Any:
    async def call() -> Any:
        async with connected(address) as client:
            return await client.call_tool(name, arguments)

    return run_async(call())


def connected(address: str, **options: Any) -> Client:
    return Client(streamable_http_client(f"{address}/mcp", http_client=httpx2.AsyncClient(auth=AUTH, timeout=60)), **options)


def image_in(result: Any) -> Image.Image:
    (drawn,) = [each for each in result.content if each.type == "image"]
    assert drawn.mime_type == "image/jpeg"
    return Image.open(io.BytesIO(base64.b64decode(drawn.data)))


@pytest.mark.parametrize("path", ["", "/detection"], ids=["prefix removed by a proxy", "prefix kept"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_offers_these_tools_only(address, path, mode):
    async def names() -> list[str]:
        async with connected(address + path, mode=mode) as client:
            return [tool.name for tool in (await client.list_tools()).tools]

    assert run_async(names()) == ["detect", "compare", "list_models"]


@pytest.mark.parametrize(
    "sent", [BASE64, f"data:image/jpeg;base64,{BASE64}", "\n".join(BASE64.rstrip("=")[i : i + 76] for i in range(0, len(BASE64), 76))]
)
def test_detects_what_python_detects(address, sent):
    result = ask(address, "detect", image=sent, model=PERSON_MODEL, threshold=0.4, details=True)
    assert not result.is_error
    expected = Detector(PERSON_MODEL).detect(IMAGE)
    expected = expected[expected.scores >= 0.4]
    found = from_json(result.structured_content)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.masks, expected.masks)
    assert json.loads(result.content[0].text) == result.structured_content
    drawn, original = image_in(result), Image.open(IMAGE)
    assert drawn.size == original.size
    assert np.abs(np.asarray(drawn, float) - np.asarray(original.convert("RGB"), float)).max() > 100


def test_leaves_out_what_is_long(address):
    short, long = (ask(address, "detect", image=BASE64, details=details) for details in (False, True))
    assert set(short.structured_content["objects"][0]) == {"label", "class_id", "score", "box"}
    assert {"polygons", "mask_grid", "keypoints"} <= set(long.structured_content["objects"][0])
    assert short.structured_content["threshold"] == get_model_spec(COCO_MODEL).default_threshold
    assert len(short.content[0].text) < len(long.content[0].text) / 10


def test_compares(address):
    result = ask(address, "compare", image=BASE64, threshold=0.4, iou=0.6)
    data = result.structured_content
    assert [each["name"] for each in data["models"]] == [COCO_MODEL, PERSON_MODEL]
    assert data["iou_threshold"] == 0.6
    assert len(data["pairs"]) == 1
    assert image_in(result).width == Image.open(IMAGE).width


def test_lists_models(address):
    result = ask(address, "list_models")
    assert [each["key"] for each in result.structured_content["models"]] == list_models()
    assert len(result.content[0].text) < 15_000


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("detect", {}, "“image”: Field required"),
        ("detect", {"image": 1}, "“image”: Input should be a valid string"),
        ("detect", {"image": ""}, "This is not an image. Send the image itself"),
        ("detect", {"image": "a.jpg"}, "This is not an image. Send the image itself"),
        ("detect", {"image": "file:///etc/passwd"}, "This is not an image. Send the image itself"),
        ("detect", {"image": "dGV4dA=="}, "not an image"),
        ("detect", {"image": "http://127.0.0.1/a.png"}, "This server fetches no URLs"),
        ("detect", {"image": BASE64, "model": "yolo"}, "There is no model “yolo”"),
        ("detect", {"image": BASE64, "model": "ssd300_vgg16"}, "ssd300_vgg16_coco-b556d3b4.pth"),
        ("detect", {"image": BASE64, "threshold": 2}, "“threshold”: Input should be less than or equal to 1"),
        ("detect", {"image": BASE64, "treshold": 0.1}, "“treshold”: .* The arguments are: details, image, model, threshold"),
        ("compare", {"image": BASE64, "models": [COCO_MODEL]}, "2 to 4 different models"),
        ("batch", {"image": BASE64}, "There is no tool “batch”. The tools are: detect, compare, list_models"),
    ],
)
def test_errors_are_sentences(address, tool, arguments, words):
    result = ask(address, tool, **arguments)
    assert result.is_error
    (text,) = result.content
    assert re.search(words, text.text)
    assert len(text.text) < 2000


def test_asks_for_the_password_and_refuses_other_sites(address):
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"accept": "application/json, text/event-stream"}
    assert httpx.post(f"{address}/mcp", json=call, headers=headers).status_code == 401
    for origin, status in (("https://evil.example", 403), (FRIEND, 200)):
        response = httpx.post(f"{address}/mcp", json=call, headers=headers | {"origin": origin}, auth=AUTH)
        assert response.status_code == status
        assert (response.headers.get("access-control-allow-origin") == FRIEND) == (status == 200)


def test_takes_nothing_larger_than_an_image(address):
    assert httpx.post(f"{address}/mcp", content=b"x" * 70 * 2**20, auth=AUTH, timeout=60).status_code == 413


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_has_no_sessions(address, method):
    assert httpx.request(method, f"{address}/mcp", auth=AUTH).status_code == 405


def test_gradios_own_server_is_not_started(address):
    assert httpx.get(f"{address}/gradio_api/mcp/schema", auth=AUTH).status_code == 404


class Page(Starlette):
    """What the route needs of a page."""

    def get_blocks(self) -> Any:
        return self


def post(engine: FakeEngine, fetcher: Any = None, host: str = "10.0.0.1", **arguments: Any) -> dict[str, Any]:
    page = Page(routes=[mcp_route()])
    page.mcp_tools = McpServer(Service(engine, LiveStreams(most=12)), fetcher)  # type: ignore[attr-defined]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "detect", "arguments": arguments}}
    headers = {"accept": "application/json, text/event-stream"}
    result = TestClient(page, client=(host, 1)).post("/mcp", json=call, headers=headers).raise_for_status().json()["result"]
    assert isinstance(result, dict)
    return result


@pytest.mark.parametrize(
    ("error", "words"),
    [(EngineBusyError("Too many images are waiting already."), "Too many images"), (RuntimeError("secret"), "Its log says why")],
)
def test_says_why_a_call_failed(error, words):
    engine = FakeEngine()
    engine.refusals = [error]
    result = post(engine, image=BASE64)
    assert result["isError"]
    assert words in result["content"][0]["text"]
    assert "secret" not in str(result)
    assert not post(engine, image=BASE64).get("isError")


def test_assistants_are_visitors_by_their_addresses_as_all_programs_are():
    engine = FakeEngine()
    for host in ("10.0.0.1", "10.0.0.2"):
        post(engine, host=host, image=BASE64)
    assert [job.visitor for job in engine.jobs] == ["10.0.0.1/http", "10.0.0.2/http"]


def test_fetches_urls_where_they_are_allowed():
    class Fetcher:
        async def fetch(self, url: str, visitor: str) -> bytes:
            if "127" in url:
                raise UnreachableHostError
            return IMAGE.read_bytes()

    engine = FakeEngine()
    assert post(engine, Fetcher(), image=" https://a.example/b.jpg\n")["structuredContent"]["file_name"] == "b.jpg"
    refused = post(engine, Fetcher(), image="http://127.0.0.1/")
    assert refused["isError"]
    assert "cannot be reached" in refused["content"][0]["text"]


def test_large_images_are_scaled_down_and_nothing_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = io.BytesIO()
    Image.new("L", (4000, 1000)).save(file, "png")
    result = post(FakeEngine(), image=base64.b64encode(file.getvalue()).decode())
    assert result["structuredContent"]["width"] == 4000
    assert Image.open(io.BytesIO(base64.b64decode(result["content"][1]["data"]))).size == (1568, 392)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [[], [(b"mcp-protocol-version", b"2026-07-28")]], ids=["handshake", "without"])
def test_a_client_that_goes_cancels_its_jobs(version):
    engine = FakeEngine(holds=True)
    server = McpServer(Service(engine, LiveStreams(most=12)))
    meta = {f"io.modelcontextprotocol/{name}": value for name, value in {"protocolVersion": "2026-07-28", "clientCapabilities": {}}.items()}
    params = {"name": "detect", "arguments": {"image": BASE64}, "_meta": meta if version else {}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    received = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if received:
            return received.pop()
        while not engine.jobs:
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    headers = [(b"content-type", b"application/json"), (b"accept", b"application/json, text/event-stream"), (b"host", b"a"), *version]
    if version:
        headers += [(b"mcp-method", b"tools/call"), (b"mcp-name", b"detect")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers, "client": ("10.0.0.1", 1)}
    finish(server(scope, receive, send))
    assert [job.cancelled for job in engine.jobs] == [True]
