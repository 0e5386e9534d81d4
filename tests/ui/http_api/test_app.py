"""The HTTP API as programs call it: over real HTTP, and each response equal to what Python gives."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from typing import Any

import httpx
import numpy as np
import pytest
from openapi_spec_validator import validate
from PIL import Image

from detection_core.detections import Detections
from detection_core.explanation import explain
from detection_core.formats import ImageResult, from_json, provenance_of
from detection_core.formats.registry import export_one
from detection_core.images.reading import read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec, list_models
from detection_core.models.detector import Detector
from detection_core.models.model_key import ModelKey
from detection_core.visualization import AnnotationStyle
from tests.explanation.small_cat import TILE, small_cat

IMAGE = ASSETS / "examples" / "grace_hopper.jpg"
FILE = {"image": (IMAGE.name, IMAGE.read_bytes(), "image/jpeg")}
LONG = "x" * 10_000
# Of what is written, only the time differs from call to call.
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@pytest.fixture(scope="module")
def api(address: str) -> str:
    return f"{address}api/v1"


@pytest.fixture(scope="module")
def python_detections() -> Detections:
    """What Python sees in the image, down to the lowest score."""
    return Detector(PERSON_MODEL).detect(IMAGE)


def post(api: str, operation: str, **parameters: Any) -> httpx.Response:
    return httpx.post(f"{api}/{operation}", params=parameters, files=FILE, timeout=60)


def expected_file(found: Detections, form: str, threshold: float, **style: Any) -> bytes:
    spec = get_model_spec(PERSON_MODEL)
    provenance = None if form == "coco" else provenance_of(spec, threshold=threshold)
    result = ImageResult(IMAGE.name, found[found.scores >= threshold], provenance, lambda: read_image(IMAGE).image, image_id=1)
    return export_one(result, form, style=AnnotationStyle(**style))[0]


def contents(data: bytes) -> Any:
    """What a file says, without its time."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: TIME.sub(b"", archive.read(name)) for name in archive.namelist()}
    if data.startswith(b"\x89PNG"):
        return np.asarray(Image.open(io.BytesIO(data))).tobytes()
    return TIME.sub(b"", data)


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("json", "application/json"),
        ("coco", "application/json"),
        ("coco-dataset", "application/json"),
        ("yolo", "application/zip"),
        ("yolo-detect", "application/zip"),
        ("yolo-segment", "application/zip"),
        ("yolo-pose", "application/zip"),
        ("csv", "text/csv; charset=utf-8"),
        ("png", "image/png"),
    ],
)
def test_detects(api, python_detections, form, media_type):
    response = post(api, "detect", model=PERSON_MODEL, threshold=0.4, format=form)
    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    wanted = expected_file(python_detections, "yolo-detect" if form == "yolo" else form, 0.4)
    assert contents(response.content) == contents(wanted)
    assert ("detection-provenance" in response.headers) == (form == "coco")


def test_json_restores_the_detections(api, python_detections):
    threshold = get_model_spec(PERSON_MODEL).default_threshold
    restored = from_json(post(api, "detect", model=PERSON_MODEL).json())
    wanted = python_detections[python_detections.scores >= threshold]
    assert len(restored)
    np.testing.assert_array_equal(restored.boxes, wanted.boxes)
    np.testing.assert_array_equal(restored.masks, wanted.masks)


def test_the_keypoint_threshold_counts(api, python_detections):
    drawn = {
        threshold: contents(post(api, "detect", model=PERSON_MODEL, threshold=0.4, format="png", keypoint_threshold=threshold).content)
        for threshold in (2, 10)
    }
    assert drawn[2] != drawn[10] == contents(expected_file(python_detections, "png", 0.4, keypoint_threshold=10))


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "image/png; charset=x"])
def test_takes_the_image_as_the_body(api, kind):
    sent = httpx.post(f"{api}/detect?model={PERSON_MODEL}", content=IMAGE.read_bytes(), headers={"content-type": kind}, timeout=60)
    in_form = post(api, "detect", model=PERSON_MODEL).json()
    assert sent.json()["objects"] == in_form["objects"]
    assert (sent.json()["file_name"], in_form["file_name"]) == ("image", IMAGE.name)


def test_takes_parameters_in_the_form(api):
    fields = {"model": PERSON_MODEL, "threshold": "0.4", "format": "csv"}
    response = httpx.post(f"{api}/detect", data=fields, files=FILE, timeout=60)
    assert contents(response.content) == contents(post(api, "detect", **fields).content)
    (row, *_) = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))
    assert row["label"] == "person"


def test_names_in_requests_lead_out_of_no_folder(api):
    files = {"image": ("../../etc/passwd", IMAGE.read_bytes(), "image/jpeg")}
    response = httpx.post(f"{api}/detect", params={"format": "yolo"}, files=files, timeout=60)
    assert not [name for name in contents(response.content) if ".." in name or name.startswith("/")]


@pytest.mark.parametrize(
    ("classes", "labels"),
    [([], {"person", "tie"}), (["tie"], {"tie"}), (["tie,person"], {"person", "tie"}), (["tie", "dog"], {"tie"}), (["dog"], set())],
)
def test_keeps_the_classes_wanted(api, classes, labels):
    response = post(api, "detect", threshold=0.3, classes=classes).json()
    assert {each["label"] for each in response["objects"]} == labels


def test_compares(api):
    models = [COCO_MODEL, PERSON_MODEL]
    response = post(api, "compare", models=",".join(models), threshold=0.4, iou=0.6).json()
    assert (response["image"], response["iou_threshold"]) == (IMAGE.name, 0.6)
    assert [each["name"] for each in response["models"]] == models
    assert [each["objects"] for each in response["models"]] == [
        post(api, "detect", model=model, threshold=0.4).json()["objects"] for model in models
    ]
    drawn = post(api, "compare", models=models, threshold=0.4, iou=0.6, format="png")
    assert drawn.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(drawn.content)).width == Image.open(IMAGE).width


def test_tracks(api):
    first = post(api, "track", model=PERSON_MODEL).json()
    again = post(api, "track", model=PERSON_MODEL, stream=first["stream"]).json()
    assert again["stream"] == first["stream"]
    tracks = [{each["track"] for each in frame["objects"] if each["track"]} for frame in (first, again)]
    assert tracks[0]
    assert tracks[0] <= tracks[1]
    assert again["total"] == {"person": len(tracks[1])}
    assert post(api, "track", model=PERSON_MODEL).json()["stream"] != first["stream"]
    # Two clients behind one address do not end each other's streams.
    assert post(api, "track", stream=first["stream"]).status_code == 200


def test_lists_models(api):
    # Frames always run, and the first run does not count.
    post(api, "track", model=PERSON_MODEL, stream=post(api, "track", model=PERSON_MODEL).json()["stream"])
    response = httpx.get(f"{api}/models")
    assert [each["key"] for each in response.json()] == list_models()
    sizes = {each["key"]: each["input_sizes"] for each in response.json()}
    assert (sizes[COCO_MODEL], sizes[PERSON_MODEL]) == ([], [320, 1333])
    seconds = {each["key"]: each["seconds"] for each in response.json()}
    assert 0 < seconds[PERSON_MODEL][PERSON_MODEL] < 60
    assert all(ModelKey.parse(key).name == name for name, taken in seconds.items() for key in taken)


def test_an_input_size_is_part_of_the_model(api):
    found = from_json(post(api, "detect", model=PERSON_MODEL, input_size=480, threshold=0.4).json())
    expected = Detector(f"{PERSON_MODEL}@480px").detect(IMAGE)
    assert found.model == f"{PERSON_MODEL}@480px"
    np.testing.assert_allclose(found.boxes, expected.boxes[expected.scores >= 0.4], atol=0.01)
    sizes = [f"{PERSON_MODEL}@640px", f"{PERSON_MODEL}@stock"]
    compared = post(api, "compare", models=sizes, input_size=480).json()
    assert [each["name"] for each in compared["models"]] == [f"{PERSON_MODEL}@480px", f"{PERSON_MODEL}@stock@480px"]


def test_slices_are_part_of_the_model(api):
    found = from_json(post(api, "detect", model=PERSON_MODEL, slices=300, threshold=0.4).json())
    expected = Detector(f"{PERSON_MODEL}@slices300").detect(IMAGE)
    assert found.model == f"{PERSON_MODEL}@slices300"
    np.testing.assert_allclose(found.boxes, expected.boxes[expected.scores >= 0.4], atol=0.01)
    assert found.whole_scores is not None
    compared = post(api, "compare", models=[PERSON_MODEL, f"{PERSON_MODEL}@slices300"]).json()
    assert [each["name"] for each in compared["models"]] == [PERSON_MODEL, f"{PERSON_MODEL}@slices300"]


def test_a_model_of_one_size_says_why(api):
    response = post(api, "detect", model=COCO_MODEL, input_size=480)
    assert (response.status_code, response.json()["type"]) == (422, "docs#invalid-parameters")
    assert "SSDlite models have one input size only: their anchors" in response.json()["detail"]


def form(name: str, data: bytes | str) -> dict[str, Any]:
    return {"files": {name: ("a.jpg", data, "image/jpeg")}}


def body(content: bytes, kind: str | None) -> dict[str, Any]:
    return {"content": content, "headers": {} if kind is None else {"content-type": kind}}


# Path, request, status, type and words of the detail.
BAD: dict[str, tuple[str, dict[str, Any], int, str, str]] = {
    "no body": ("detect", {}, 400, "no-image", "Send an image: curl -F image=@photo.jpg"),
    "empty body": ("detect", body(b"", "image/png"), 400, "no-image", "Send an image"),
    "empty file": ("detect", form("image", b""), 400, "no-image", "Send an image"),
    "text in place of a file": ("detect", {"data": {"image": "a.jpg"}, "files": {"x": b""}}, 400, "no-image", "has to be a file"),
    "another field": ("detect", form("photo", b"x"), 400, "no-image", "has to be named “image”"),
    "two images": ("detect", {"files": [("image", b"x"), ("image", b"y")]}, 400, "malformed-request", "Too many files"),
    "no boundary": ("detect", body(b"x", "multipart/form-data"), 400, "malformed-request", "boundary"),
    "another method": ("detect", {"method": "GET"}, 405, "wrong-method", "/api/v1/docs"),
    "another path": ("nope", {}, 404, "unknown-path", "/api/v1/docs"),
    "no type": ("detect", body(b"x", None), 415, "wrong-content-type", "or as the body with its own Content-Type"),
    "form type of curl": ("detect", body(b"x", "application/x-www-form-urlencoded"), 415, "wrong-content-type", "Content-Type"),
    "JSON": ("detect", {"json": {"url": "http://127.0.0.1/"}}, 415, "wrong-content-type", "Send the image in a form"),
    "a video's type": ("detect", body(b"x", "video/mp4"), 415, "wrong-content-type", "Send the image in a form"),
    "a URL": ("detect?url=http://127.0.0.1/a.png", {"files": FILE}, 422, "url-not-fetched", "Send the image itself"),
    "no image": ("detect", form("image", b"text"), 422, "unreadable-image", "not an image"),
    "cut off": ("detect", form("image", IMAGE.read_bytes()[:200]), 422, "unreadable-image", "."),
    "unknown model": ("detect?model=yolo", {"files": FILE}, 404, "unknown-model", "There is no model “yolo”"),
    "no model": ("detect?model=", {"files": FILE}, 404, "unknown-model", "There is no model “”"),
    "long model": (f"detect?model={LONG}", {"files": FILE}, 404, "unknown-model", "There is no model “x{80}”"),
    "threshold too high": ("detect?threshold=2", {"files": FILE}, 422, "invalid-parameters", "“threshold”: .* less than or equal to 1"),
    "threshold negative": ("detect?threshold=-1", {"files": FILE}, 422, "invalid-parameters", "“threshold”"),
    "threshold true": ("detect?threshold=true", {"files": FILE}, 422, "invalid-parameters", "“threshold”: .*number"),
    "threshold nan": ("detect?threshold=nan", {"files": FILE}, 422, "invalid-parameters", "“threshold”: .*finite"),
    "threshold twice": ("detect?threshold=0.1&threshold=0.2", {"files": FILE}, 422, "invalid-parameters", "“threshold”: It is given more"),
    "keypoint threshold": ("detect?keypoint_threshold=x", {"files": FILE}, 422, "invalid-parameters", "“keypoint_threshold”"),
    "unknown format": ("detect?format=xml", {"files": FILE}, 422, "invalid-parameters", "“format”: .*'json', 'coco'"),
    "unknown class": ("detect?classes=person,unicorn", {"files": FILE}, 422, "invalid-parameters", "has no class “unicorn”"),
    "unknown parameter": ("detect?treshold=0.1", {"files": FILE}, 422, "invalid-parameters", "“treshold”: There is no such parameter"),
    "long parameter": (f"detect?{LONG}=1", {"files": FILE}, 422, "invalid-parameters", "“x{60}”"),
    "weights missing": ("detect?model=ssd300_vgg16", {"files": FILE}, 503, "model-unavailable", "ssd300_vgg16_coco-b556d3b4.pth"),
    "compare, one model": (f"compare?models={COCO_MODEL}", {"files": FILE}, 422, "invalid-parameters", "2 to 4 different models"),
    "compare, unknown": (f"compare?models={COCO_MODEL},yolo", {"files": FILE}, 404, "unknown-model", "“yolo”"),
    "compare, weights missing": (
        f"compare?models={COCO_MODEL},ssd300_vgg16", {"files": FILE}, 422, "too-few-models", "Fewer than two models are left"
    ),
    "input size too small": ("detect?input_size=319", {"files": FILE}, 422, "invalid-parameters", "“input_size”: .*or equal to 320"),
    "input size too large": ("track?input_size=1334", {"files": FILE}, 422, "invalid-parameters", "“input_size”: .*or equal to 1333"),
    "slices too small": ("detect?slices=127", {"files": FILE}, 422, "invalid-parameters", "“slices”: .*or equal to 128"),
    "slices of tracking": ("track?slices=640", {"files": FILE}, 422, "invalid-parameters", "There is no such parameter"),
    "compare, iou": ("compare?iou=0", {"files": FILE}, 422, "invalid-parameters", "“iou”"),
    "compare, format": ("compare?format=csv", {"files": FILE}, 422, "invalid-parameters", "'json' or 'png'"),
    "track, unknown stream": ("track?stream=x", {"files": FILE}, 404, "unknown-stream", "has ended"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "request_", "status", "kind", "words"), BAD.values(), ids=BAD)
def test_refuses_with_a_problem(api, capfd, path, request_, status, kind, words):
    response = httpx.request(url=f"{api}/{path}", timeout=60, **{"method": "POST", **request_})
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, f"docs#{kind}")
    assert re.search(words, problem["detail"])
    assert len(response.text) < 3000
    assert problem["title"]
    assert ("errors" in problem) == (kind == "invalid-parameters" and "different models" not in words)
    assert ("retry-after" in response.headers) == (status == 503)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_large_requests_are_refused_with_a_problem(api):
    response = httpx.post(f"{api}/detect", files=form("image", b"x" * 52 * 2**20)["files"])
    assert (response.status_code, response.json()["type"]) == (413, "docs#too-large")
    assert response.headers["content-type"] == "application/problem+json"


def test_openapi_is_valid_and_complete(api):
    description = httpx.get(f"{api}/openapi.json").json()
    validate(description)
    assert set(description["paths"]) == {"/detect", "/compare", "/explain", "/track", "/models"}
    assert {each["name"] for each in description["paths"]["/detect"]["post"]["parameters"]} == {
        "model", "input_size", "slices", "threshold", "keypoint_threshold", "classes", "format",
    }  # fmt: skip
    # As addresses relative to the description's own.
    assert [each["url"] for each in description["servers"]] == ["."]
    assert json.dumps(description).count("problem+json") > 10


def test_the_documentation_needs_no_other_server(api):
    page = httpx.get(f"{api}/docs").text
    assert not re.search(r"<script|<link|src=|@import|url\(", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"openapi.json"}
    for path in ("detect", "compare", "track", "models"):
        assert f"/api/v1/{path}</code>" in page
    assert 'id="unknown-model"' in page


def test_explains_as_python_does(api):
    response = post(api, "explain", model=COCO_MODEL, box="100,100,300,400", label="person", threshold=0.9)
    python = explain(IMAGE, COCO_MODEL, box=(100, 100, 300, 400), label="person", threshold=0.9)
    assert (response.status_code, response.json()["sentence"]) == (200, python.sentence)
    assert response.json()["why_not"] == json.loads(json.dumps(python.to_json()["why_not"]))
    drawn = post(api, "explain", model=COCO_MODEL, object=0, format="png")
    assert drawn.headers["content-type"] == "image/png"
    assert contents(drawn.content) == np.asarray(explain(IMAGE, COCO_MODEL, number=0).draw_answer()).tobytes()


@pytest.mark.slow
def test_explains_an_object_that_only_a_slice_shows(api):
    stream = io.BytesIO()
    small_cat().save(stream, "PNG")
    url = f"{api}/explain?model={COCO_MODEL}@slices128&object=0"
    report = httpx.post(url, content=stream.getvalue(), headers={"content-type": "image/png"}, timeout=60).json()
    assert report["sentence"].startswith("Only a slice of the image shows this cat")
    assert report["slice"] == list(TILE)
    assert report["why"]["name"] == "cat"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "exactly one"),
        ({"at": "1,x"}, "list of 2 numbers"),
        ({"at": "nan,1"}, "list of 2 numbers"),
        ({"at": "9999,1"}, "outside the image"),
        ({"at": "1,1", "label": LONG}, "does not know the class"),
        ({"object": 99999}, "There is no object"),
        ({"object": -1}, "whole number from 0"),
    ],
)
def test_a_question_without_sense_is_a_problem(api, parameters, words):
    response = post(api, "explain", model=COCO_MODEL, **parameters)
    assert (response.status_code, response.json()["type"]) == (422, "docs#invalid-parameters")
    assert words in response.json()["detail"]
