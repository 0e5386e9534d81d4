"""The HTTP API when the server is busy or fails, who waits for whom, and what a request leaves behind; with an engine without models."""

from __future__ import annotations

import errno
import io
import tempfile
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette import formparsers
from starlette.testclient import TestClient

from detection_core.engine import EngineBusyError, EngineError, VisitorBusyError
from detection_core.models.catalog import ASSETS, PERSON_MODEL
from detection_core.models.weights import WeightsError
from detection_core.ui.http_api.app import PREFIX, build_http_api, http_api_route
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.service import Service
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine


def png(side: int) -> bytes:
    """An image that does not compress."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)).save(file, "png")
    return file.getvalue()


SMALL = png(64)
SSD = "ssd300_vgg16"


def client(engine: FakeEngine, streams: LiveStreams | None = None, host: str = "10.0.0.1") -> TestClient:
    api = build_http_api(Service(engine, LiveStreams(most=12) if streams is None else streams))
    return TestClient(api, client=(host, 1), raise_server_exceptions=False)


def post(client: TestClient, path: str = "/detect", data: bytes = SMALL) -> Any:
    return client.post(path, files={"image": ("a.png", data)})


@pytest.mark.parametrize(
    ("error", "status", "kind", "retry_after"),
    [
        (EngineBusyError("Too many images are waiting already."), 503, "busy", "5"),
        (VisitorBusyError("Too many of your images are waiting."), 429, "too-many-requests", "2"),
        (WeightsError("No weights."), 503, "model-unavailable", "60"),
        (EngineError("Out of memory."), 500, "detection-failed", None),
        (RuntimeError("secret"), 500, "defect", None),
    ],
)
def test_says_when_to_try_again(error, status, kind, retry_after):
    engine = FakeEngine()
    engine.refusals = [error]
    response = post(client(engine))
    assert (response.status_code, response.json()["type"]) == (status, f"docs#{kind}")
    assert response.headers.get("retry-after") == retry_after
    assert "secret" not in response.text
    assert post(client(engine)).status_code == 200


def test_a_comparison_says_that_the_server_is_busy():
    engine = FakeEngine()
    engine.refusals = [EngineBusyError("Too many images are waiting already.")]
    response = post(client(engine), "/compare")
    assert (response.status_code, response.json()["type"], response.headers["retry-after"]) == (503, "docs#busy", "5")


def test_a_program_for_whose_stream_there_is_no_place_hears_when_to_try_again():
    """However often programs try, they take no places: the first one that tries once there is one gets it."""
    streams = LiveStreams(most=1)
    api = client(FakeEngine(), streams)
    served = post(api, "/track").json()["stream"]
    for _ in range(30):
        response = post(api, "/track")
        assert (response.status_code, response.json()["type"], response.headers["retry-after"]) == (429, "docs#stream-waits", "2")
    assert len(streams) == 1
    assert post(api, f"/track?stream={served}").status_code == 200
    streams.remove(served)
    assert post(api, "/track").status_code == 200


def test_a_stream_whose_first_frame_is_refused_takes_no_place():
    engine, streams = FakeEngine(), LiveStreams(most=12)
    engine.refusals = [VisitorBusyError("Too many of your images are waiting.")]
    api = client(engine, streams)
    assert post(api, "/track").status_code == 429
    assert len(streams) == 0
    # A later frame that is refused ends nothing.
    stream = post(api, "/track").json()["stream"]
    engine.refusals = [VisitorBusyError("Too many of your images are waiting.")]
    assert [post(api, f"/track?stream={stream}").status_code for _ in range(2)] == [429, 200]


def test_clients_are_visitors_by_their_addresses():
    engine = FakeEngine()
    for host in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        post(client(engine, host=host))
        post(client(engine, host=host), "/track")
    visitors = [submission.job.visitor for submission in engine.submissions]
    assert visitors == ["10.0.0.1/http"] * 4 + ["10.0.0.2/http"] * 2


@pytest.mark.parametrize("as_form", [True, False])
def test_leaves_no_files(tmp_path, monkeypatch, as_form):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Above what a form keeps in memory.
    data = png(800)
    assert len(data) > 2**20
    api = client(FakeEngine())
    response = post(api, data=data) if as_form else api.post("/detect", content=data, headers={"content-type": "image/png"})
    assert response.json()["width"] == 800
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "status", "kind", "retry_after"), [(errno.ENOSPC, 507, "full-disk", "60"), (errno.EIO, 500, "defect", None)]
)
def test_a_full_disk_is_reported_and_the_next_form_is_read(monkeypatch, number, status, kind, retry_after):
    class Full(tempfile.SpooledTemporaryFile):
        def rollover(self) -> None:
            raise OSError(number, "secret")

    api = client(FakeEngine())
    with monkeypatch.context() as patch:
        patch.setattr(formparsers, "SpooledTemporaryFile", Full)
        response = post(api, data=png(800))
    assert (response.status_code, response.json()["type"]) == (status, f"docs#{kind}")
    assert response.headers.get("retry-after") == retry_after
    assert "secret" not in response.text
    assert post(api, data=png(800)).status_code == 200


def test_a_frame_says_that_it_is_cut_off():
    api = client(FakeEngine())
    data = (ASSETS / "examples" / "grace_hopper.jpg").read_bytes()
    (note,) = post(api, "/track", data[: len(data) // 2]).json()["notes"]
    assert "cut off" in note
    assert "notes" not in post(api, "/track", data).json()


def test_no_model_runs_for_a_format_that_does_not_suit_it():
    engine = FakeEngine()
    response = post(client(engine), f"/detect?model={SSD}&format=yolo-pose")
    assert (response.status_code, response.json()["type"]) == (422, "docs#unsuitable-format")
    assert "predicts boxes only" in response.json()["detail"]
    assert not engine.submissions


@pytest.mark.parametrize(("path", "jobs"), [("/detect", 1), ("/track", 1), ("/compare", 2)])
def test_a_client_that_goes_cancels_its_jobs(path, jobs):
    engine = FakeEngine(holds=True)
    api = build_http_api(Service(engine, LiveStreams(most=12)))
    received = [{"type": "http.request", "body": SMALL, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return received.pop() if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    headers = [(b"content-type", b"image/png")]
    scope = {"type": "http", "method": "POST", "path": path, "root_path": "", "query_string": b"", "headers": headers}
    finish(api(scope, receive, send))
    assert [job.cancelled for job in engine.jobs] == [True] * jobs


@pytest.mark.parametrize("root_path", ["", "/explorer"])
@pytest.mark.parametrize("stripped", [True, False], ids=["prefix removed by a proxy", "prefix kept"])
def test_works_below_any_prefix(root_path, stripped):
    class Page(FastAPI):
        def get_blocks(self) -> Any:
            return self

    page = Page(root_path=root_path, routes=[http_api_route()])
    page.http_api = build_http_api(Service(FakeEngine(), LiveStreams(most=12)))  # type: ignore[attr-defined]
    address = f"{'' if stripped else root_path}{PREFIX}"
    with TestClient(page) as outside:
        assert post(outside, f"{address}/detect?model={PERSON_MODEL}").json()["summary"] == "2 persons"
        assert outside.get(f"{address}/docs").status_code == 200
        assert outside.get(f"{address}/nope").json()["type"] == "docs#unknown-path"
