"""Images by their URL in the HTTP API: refused unless the host allows it, and fetched only for a request that can be served."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

from detection_core.errors import UserError
from detection_core.models.catalog import ASSETS
from detection_core.settings import Settings
from detection_core.ui.app import build_app
from detection_core.ui.http_api.app import build_http_api
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.service import Service
from detection_core.ui.shared.image_urls import FetchesBusyError, ImageUrlError, UnreachableHostError
from tests.ui.fake_engine import FakeEngine

URL = "https://a.example/photos/cat.jpg"
DATA = (ASSETS / "examples" / "chelsea.jpg").read_bytes()


class FakeFetcher:
    """Gives the image that a test says, and keeps the URLs."""

    def __init__(self, outcome: bytes | UserError = DATA) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, str]] = []

    async def fetch(self, url: str, visitor: str) -> bytes:
        self.asked.append((url, visitor))
        if isinstance(self.outcome, UserError):
            raise self.outcome
        return self.outcome


def client(fetcher: FakeFetcher | None) -> TestClient:
    api = build_http_api(Service(FakeEngine(), LiveStreams(most=12)), fetcher)  # type: ignore[arg-type]
    return TestClient(api, client=("10.0.0.1", 1))


@pytest.mark.parametrize("operation", ["detect", "compare", "track"])
@pytest.mark.parametrize("sent", [{"params": {"url": URL}}, {"files": {"url": (None, URL)}}], ids=["query", "form"])
def test_fetches_the_image(operation: str, sent: dict[str, Any]):
    fetcher = FakeFetcher()
    response = client(fetcher).post(f"/{operation}", **sent)
    assert response.status_code == 200
    assert fetcher.asked == [(URL, "10.0.0.1/http")]
    if operation != "track":
        assert response.json()["file_name" if operation == "detect" else "image"] == "cat.jpg"


@pytest.mark.parametrize(
    ("allowed", "sent", "status", "kind"),
    [
        (False, {"params": {"url": URL}}, 422, "url-not-fetched"),
        (False, {"files": {"url": (None, URL)}}, 422, "url-not-fetched"),
        (True, {"params": {"url": [URL, URL]}}, 422, "invalid-parameters"),
        (True, {"params": {"url": URL}, "files": {"image": DATA}}, 422, "invalid-parameters"),
        (True, {"params": {"url": URL, "threshold": 2}}, 422, "invalid-parameters"),
        (True, {"params": {"url": URL, "model": "yolo"}}, 404, "unknown-model"),
        (True, {"params": {"url": "http://[::1/", "threshold": 2}}, 422, "invalid-parameters"),
        (True, {"json": {"url": URL}}, 415, "wrong-content-type"),
    ],
)
def test_fetches_nothing_for_a_request_that_cannot_be_served(allowed, sent, status, kind):
    fetcher = FakeFetcher()
    response = client(fetcher if allowed else None).post("/detect", **sent)
    assert (response.status_code, response.json()["type"]) == (status, f"docs#{kind}")
    assert not fetcher.asked


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        (UnreachableHostError(), 422, "unusable-url"),
        (ImageUrlError("There is no image."), 422, "unusable-url"),
        (FetchesBusyError(), 503, "busy"),
        (b"<html>", 422, "unreadable-image"),
    ],
)
def test_says_why_there_is_no_image(outcome, status, kind):
    response = client(FakeFetcher(outcome)).post("/detect", params={"url": URL})
    assert (response.status_code, response.json()["type"]) == (status, f"docs#{kind}")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("allowed", [True, False])
def test_is_described_where_it_is_allowed(allowed):
    description = client(FakeFetcher() if allowed else None).get("/openapi.json").json()
    validate(description)
    for path in ("/detect", "/compare", "/track"):
        operation = description["paths"][path]["post"]
        assert ("url" in [each["name"] for each in operation["parameters"]]) == allowed
        assert operation["requestBody"]["required"] != allowed


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, "url-not-fetched"), ({"allow_urls": True}, "unusable-url"), ({"allow_urls": True, "offline": True}, "url-not-fetched")],
)
def test_the_host_decides(settings, status):
    page = build_app(FakeEngine(), settings=Settings(**settings))
    response = TestClient(page.http_api).post("/detect", params={"url": "http://127.0.0.1/"})
    assert response.json()["type"] == f"docs#{status}"
