"""What a program sends wrongly is refused in one sentence, without a traceback in the log, and the next request is served."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from detection_core.models.catalog import ASSETS, PERSON_MODEL
from detection_core.ui.service import Service

IMAGE = ASSETS / "examples" / "astronaut.jpg"
META = {"_type": "gradio.FileData"}
JSON = {"content-type": "application/json"}
UPLOADED = "the uploaded image"
HOW_TO_SEND = "Send the image as an uploaded file"
NOT_UPLOADED = "opens only files that have been uploaded"
NO_URLS = "URLs are not fetched"
LONG = "x" * 100_000


@pytest.fixture(scope="module")
def image(address: str) -> dict[str, Any]:
    files = {"files": ("a.jpg", IMAGE.read_bytes(), "image/jpeg")}
    (path,) = httpx.post(f"{address}gradio_api/upload", files=files).json()
    return {"path": path, "meta": META}


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Gives what the server has printed and logged."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(name) for name in (None, "uvicorn.error")]
    for logger in loggers:
        logger.addHandler(handler)
    yield lambda: "".join(capsys.readouterr()) + text.getvalue()
    for logger in loggers:
        logger.removeHandler(handler)


def with_image(sent: Any, image: dict[str, Any]) -> Any:
    """The request with the uploaded image in its places."""
    if sent == UPLOADED:
        return image
    if isinstance(sent, dict):
        return {name: image["path"] if name == "path" and value == UPLOADED else with_image(value, image) for name, value in sent.items()}
    return [with_image(each, image) for each in sent] if isinstance(sent, list) else sent


def called(address: str, name: str, data: Any) -> str:
    """What an endpoint says in the event stream."""
    event = httpx.post(f"{address}gradio_api/call/{name}", content=json.dumps({"data": data}), headers=JSON).json()["event_id"]
    (said,) = [
        line for line in httpx.get(f"{address}gradio_api/call/{name}/{event}", timeout=60).text.splitlines() if line.startswith("data: ")
    ]
    return str(json.loads(said.removeprefix("data: "))["error"])


def ran(address: str, name: str, data: Any) -> str:
    """What an endpoint says in its response."""
    response = httpx.post(f"{address}gradio_api/run/{name}", content=json.dumps({"data": data}), headers=JSON, timeout=60)
    assert response.status_code == 500
    return str(response.json()["error"])


def image_of(**sent: Any) -> list[Any]:
    return [sent, PERSON_MODEL, 0.5]


WRONG_CALLS = {
    "detect, no arguments": ("detect", [], r"“data” must be a list \[image, model, threshold\]; the list in this request has length 0"),
    "detect, one argument": ("detect", [UPLOADED], "has length 1"),
    "detect, a surplus argument": ("detect", [UPLOADED, PERSON_MODEL, 0.5, 1], "has length 4"),
    "detect, no image": ("detect", [None, PERSON_MODEL, 0.5], "Send an image file"),
    "detect, text for the image": ("detect", ["photo.jpg", PERSON_MODEL, 0.5], HOW_TO_SEND),
    "detect, a data URL as text": ("detect", ["data:image/png;base64,AAAA", PERSON_MODEL, 0.5], HOW_TO_SEND),
    "detect, a number for the image": ("detect", [5, PERSON_MODEL, 0.5], HOW_TO_SEND),
    "detect, a boolean for the image": ("detect", [True, PERSON_MODEL, 0.5], HOW_TO_SEND),
    "detect, a list of images": ("detect", [[UPLOADED], PERSON_MODEL, 0.5], HOW_TO_SEND),
    "detect, an empty object": ("detect", image_of(), HOW_TO_SEND),
    "detect, a data URL in url": ("detect", image_of(url="data:image/png;base64,AAAA", meta=META), HOW_TO_SEND),
    "detect, a URL in url": ("detect", image_of(url="http://127.0.0.1:9/a.png", meta=META), HOW_TO_SEND),
    "detect, a URL as the path": ("detect", image_of(path="http://127.0.0.1:9/a.png", meta=META), NO_URLS),
    "detect, a URL as a stream": ("detect", image_of(path="http://127.0.0.1:9/a.png", meta=META, is_stream=True), NO_URLS),
    "detect, a file of the server": ("detect", image_of(path="/etc/hostname", meta=META), NOT_UPLOADED),
    "detect, the project's file": ("detect", image_of(path=str(IMAGE), meta=META), NOT_UPLOADED),
    "detect, the project's file without meta": ("detect", image_of(path=str(IMAGE)), NOT_UPLOADED),
    "detect, a folder": ("detect", image_of(path=".", meta=META), NOT_UPLOADED),
    "detect, a path with a null byte": ("detect", image_of(path="\0", meta=META), NOT_UPLOADED),
    "detect, a path that is too long": ("detect", image_of(path=LONG, meta=META), NOT_UPLOADED),
    "detect, a number as meta": ("detect", image_of(path=UPLOADED, meta=3), "A file is sent as"),
    "detect, text as size": ("detect", image_of(path=UPLOADED, meta=META, size="large"), "A file is sent as"),
    "detect, model null": ("detect", [UPLOADED, None, 0.5], "Send the key of a model as text. The models are: "),
    "detect, model empty": ("detect", [UPLOADED, "", 0.5], "Send the key of a model as text"),
    "detect, a number for the model": ("detect", [UPLOADED, 3, 0.5], "Send the model as text"),
    "detect, a list for the model": ("detect", [UPLOADED, [PERSON_MODEL], 0.5], "Send the model as text"),
    "detect, a model in HTML": ("detect", [UPLOADED, "<b>&'x'", 0.5], "There is no model “<b>&'x'”"),
    "detect, a model of half a character": ("detect", [UPLOADED, "\ud800", 0.5], r"There is no model “\\ud800”"),
    "detect, a long model": ("detect", [UPLOADED, LONG, 0.5], "There is no model “x{80}”"),
    "detect, a precision unknown": ("detect", [UPLOADED, f"{PERSON_MODEL}@quick", 0.5], "There is no model"),
    "detect, an input size too large": ("detect", [UPLOADED, f"{PERSON_MODEL}@1334px", 0.5], "must be from 320 to 1333 px, not 1334 px"),
    "detect, threshold true": ("detect", [UPLOADED, PERSON_MODEL, True], "The threshold must be a number from 0 to 1, or null"),
    "detect, threshold false": ("detect", [UPLOADED, PERSON_MODEL, False], "must be a number"),
    "detect, threshold as text": ("detect", [UPLOADED, PERSON_MODEL, "0.5"], "must be a number"),
    "detect, threshold not a number": ("detect", [UPLOADED, PERSON_MODEL, float("nan")], "must be a number"),
    "detect, threshold in percent": ("detect", [UPLOADED, PERSON_MODEL, 50], "from 0 to 1"),
    "detect, threshold huge": ("detect", [UPLOADED, PERSON_MODEL, 10**400], "from 0 to 1"),
    "detect, a list for the threshold": ("detect", [UPLOADED, PERSON_MODEL, [0.5]], "must be a number"),
    "compare, no arguments": ("compare", [], r"a list \[image, models, threshold, iou\]; the list in this request has length 0"),
    "compare, no image": ("compare", [None, [PERSON_MODEL, f"{PERSON_MODEL}@stock"], None, None], "Send an image file"),
    "compare, models null": ("compare", [UPLOADED, None, None, None], "a list of 2 to 4 different models"),
    "compare, one model of two null": ("compare", [UPLOADED, [PERSON_MODEL, None], None, None], "different models' keys"),
    "compare, a list in the list": ("compare", [UPLOADED, [[PERSON_MODEL], "a"], None, None], "different models' keys"),
    "compare, an object for the models": ("compare", [UPLOADED, {"a": 1}, None, None], "different models' keys"),
    "compare, a file for the models": ("compare", [UPLOADED, {"path": "/etc/hostname", "meta": META}, None, None], NOT_UPLOADED),
    "compare, threshold true": ("compare", [UPLOADED, ["a", "b"], True, None], "The threshold must be a number"),
    "compare, iou true": ("compare", [UPLOADED, ["a", "b"], None, True], "The iou must be a number from 0.05 to 0.95, or null"),
    "live, text for the image": ("live", ["frame", PERSON_MODEL, None, ""], HOW_TO_SEND),
    "live, model null": ("live", [UPLOADED, None, None, ""], "Send the key of a model"),
    "live, threshold true": ("live", [UPLOADED, PERSON_MODEL, True, ""], "must be a number"),
    "live, a number for the stream": ("live", [UPLOADED, PERSON_MODEL, None, 3], "Send the stream as text"),
    "models, a surplus argument": ("models", [1], r"a list \[\]; the list in this request has length 1"),
    # The page's own.
    "page, no arguments": ("page", [], r"a list \["),
    "page, text for the image": ("page", ["x", {"selected": PERSON_MODEL}], HOW_TO_SEND),
    "page, the project's file without meta": ("page", [{"path": str(IMAGE)}, {"selected": PERSON_MODEL}], NOT_UPLOADED),
    "page, a number for the model": ("page", [UPLOADED, 3], "Choose a model from the list"),
}


@pytest.mark.parametrize("ask", [called, ran])
@pytest.mark.parametrize(("name", "data", "sentence"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_says_what_to_send(address, image, log, ask, name, data, sentence):
    said = ask(address, name, with_image(data, image))
    assert re.search(sentence, said)
    assert len(said) < 1200
    assert log() == ""


BODY = r"Send a JSON object such as \{"
WRONG_BODIES = {
    "call, no object": ("call/detect", "[]", 422, BODY),
    "call, no JSON": ("call/detect", "{image", 422, BODY),
    "call, no data": ("call/detect", '{"image": 1}', 422, "with a valid “data”"),
    "call, data is no list": ("call/detect", '{"data": {}}', 422, "with a valid “data”"),
    "call, long": ("call/detect", json.dumps({"image": LONG}), 422, "with a valid “data”"),
    "call, unknown endpoint": ("call/nope", '{"data": []}', 404, "There is no such endpoint"),
    "run, unknown endpoint": ("run/nope", '{"data": []}', 404, "There is no such endpoint"),
    "by name, unknown endpoint": ("call/v2/nope", "{}", 404, "There is no such endpoint"),
    "by name, an argument missing": ("call/v2/detect", '{"model": "a"}', 422, "No value provided for required argument: image"),
    "by name, an unknown argument": ("call/v2/detect", '{"photo": "a"}', 422, "Parameter `photo` is not a valid"),
    "by name, a long unknown argument": ("call/v2/detect", json.dumps({LONG: 1}), 422, "Parameter `x"),
    "queue, no session": ("queue/join", '{"data": [], "fn_index": 0}', 400, "Session"),
    "queue, unknown function": ("queue/join", '{"data": [], "fn_index": 9999, "session_hash": "s"}', 404, "There is no such endpoint"),
    "queue, function as text": ("queue/join", '{"data": [], "fn_index": "a", "session_hash": "s"}', 422, "with a valid “fn_index”"),
    "component, no object": ("component_server", "[]", 400, "Invalid JSON body"),
    "component, unknown": (
        "component_server", '{"data": 1, "component_id": 99999, "fn_name": "frame", "session_hash": "s"}', 404, "There is no such endpoint"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "sentence"), WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_says_which_body_to_send(address, log, path, body, status, sentence):
    response = httpx.post(f"{address}gradio_api/{path}", content=body, headers=JSON)
    assert response.status_code == status
    said = response.json()["detail"]
    assert re.search(sentence, said)
    assert len(said) < 400
    assert log() == ""


def test_says_that_json_is_not_a_form(address):
    response = httpx.post(f"{address}gradio_api/call/detect", content='{"data": []}')
    assert "Content-Type: application/json" in response.json()["detail"]


def test_serves_the_next_request(address, image):
    response = httpx.post(f"{address}gradio_api/run/detect", json={"data": [image, PERSON_MODEL, 0.5]}, timeout=60)
    assert response.json()["data"][0]["summary"] == "1 person"


def test_a_defect_is_logged_and_reported(address, image, log, monkeypatch):
    async def fail(*args: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Service, "detect", fail)
    said = called(address, "detect", [image, PERSON_MODEL, 0.5])
    assert said == "The server has failed at this request. Its log says why."
    assert "RuntimeError: secret" in log()
