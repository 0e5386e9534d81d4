"""The named endpoints, called as programs call them; no browser needed."""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from detection_core.explanation import explain
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec, list_models
from detection_core.models.optimized import sixteen_bits
from detection_core.models.user_models import MODELS_DIR
from tests.ui.model_files import PETS, put_model

PRECISIONS = ["exact", "fast", "stock"] if sixteen_bits(torch.device("cpu")) else ["exact", "stock"]
IMAGE = ASSETS / "examples" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False)


def test_detects(client):
    response, image = client.predict(handle_file(IMAGE), PERSON_MODEL, 0.3, api_name="/detect")
    assert response["objects"][0]["label"] == "person"
    assert all(entry["score"] >= 0.3 for entry in response["objects"])
    with Image.open(image if isinstance(image, str) else image["path"]) as annotated, Image.open(IMAGE) as original:
        assert annotated.format == "PNG"
        assert annotated.size == original.size
        assert np.asarray(annotated.convert("RGB")).tobytes() != np.asarray(original.convert("RGB")).tobytes()


@pytest.mark.parametrize(
    ("model", "threshold", "message"),
    [
        ("yolo", 0.5, "There is no model “yolo”"),
        (PERSON_MODEL, 2, "from 0 to 1"),
        (PERSON_MODEL, -0.1, "from 0 to 1"),
        ("ssd300_vgg16", None, "ssd300_vgg16_coco-b556d3b4.pth"),
    ],
    ids=["unknown model", "threshold too high", "threshold negative", "weights not to be had"],
)
def test_refuses_in_words(client, model, threshold, message):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(IMAGE), model, threshold, api_name="/detect")


def test_says_that_an_image_is_cut_off(client, tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(Path(IMAGE).read_bytes()[:-9000])
    response, _ = client.predict(handle_file(path), PERSON_MODEL, 0.3, api_name="/detect")
    frame = client.predict(handle_file(path), PERSON_MODEL, 0.3, "", api_name="/live")
    assert response["notes"] == frame["notes"]
    (note,) = response["notes"]
    assert "of the image is missing" in note


def test_compares(client, tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_DIR, str(tmp_path))
    put_model(tmp_path / "pets.pt")
    response, difference = client.predict(handle_file(IMAGE), [PERSON_MODEL, "pets"], None, 0.3, api_name="/compare")
    assert [model["name"] for model in response["models"]] == [PERSON_MODEL, "pets"]
    assert [model["provenance"]["threshold"] for model in response["models"]] == [get_model_spec(PERSON_MODEL).default_threshold, 0.2]
    (pair,) = response["pairs"]
    counts = pair["counts"]
    assert counts["matched"] == 0
    assert counts["other_class"] + counts["only_a"] == len(response["models"][0]["objects"])
    assert response["iou_threshold"] == 0.3
    with Image.open(difference if isinstance(difference, str) else difference["path"]) as image, Image.open(IMAGE) as original:
        assert image.width == original.width
        assert image.height > original.height


def test_fetches_no_address_in_place_of_a_list(client):
    models = {"path": "http://127.0.0.1:9/a.png", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError, match="URLs are not fetched"):
        client.predict(handle_file(IMAGE), models, None, None, api_name="/compare")


@pytest.mark.parametrize(
    ("models", "iou", "message"),
    [
        ([PERSON_MODEL], 0.5, "2 to 4 different"),
        ([PERSON_MODEL] * 2, 0.5, "2 to 4 different"),
        (PERSON_MODEL, 0.5, "2 to 4 different"),
        ([PERSON_MODEL, "yolo"], 0.5, "There is no model “yolo”"),
        ([PERSON_MODEL, "ssd300_vgg16"], 7, "from 0.05 to 0.95"),
    ],
    ids=["one", "the same twice", "no list", "unknown model", "impossible overlap"],
)
def test_refuses_comparisons_in_words(client, models, iou, message):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(IMAGE), models, None, iou, api_name="/compare")


def test_explains(client):
    why, image = client.predict(handle_file(IMAGE), COCO_MODEL, None, None, 0, "", None, api_name="/explain")
    python = explain(IMAGE, COCO_MODEL, number=0)
    assert why["sentence"] == python.sentence
    assert why["why"]["name"] == "person"
    with Image.open(image if isinstance(image, str) else image["path"]) as drawn, Image.open(IMAGE) as original:
        assert drawn.size == original.size
    why_not, _ = client.predict(handle_file(IMAGE), COCO_MODEL, [50, 20], None, None, "dog", 0.4, api_name="/explain")
    assert why_not["sentence"] == explain(IMAGE, COCO_MODEL, at=(50, 20), label="dog", threshold=0.4).sentence


@pytest.mark.parametrize(
    ("at", "box", "number", "label", "message"),
    [
        (None, None, None, "", "exactly one"),
        ([1, 1], None, 0, "", "exactly one"),
        ([1], None, None, "", "list of 2 numbers"),
        (None, [1, 1, 5, "x"], None, "", "list of 4 numbers"),
        ([-1, 5], None, None, "", "outside the image"),
        (None, [9, 9, 5, 5], None, "", "X0 < X1"),
        ([5, 5], None, None, "unicorn", "does not know the class"),
        (None, None, -1, "", "whole number"),
        (None, None, 10**6, "", "There is no object"),
    ],
)
def test_refuses_questions_in_words(client, at, box, number, label, message):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(IMAGE), COCO_MODEL, at, box, number, label, None, api_name="/explain")


def test_a_file_that_is_not_an_image_is_refused(client, tmp_path):
    text = tmp_path / "note.jpg"
    text.write_text("this is text")
    with pytest.raises(AppError, match="text") as caught:
        client.predict(handle_file(text), PERSON_MODEL, None, api_name="/detect")
    assert str(tmp_path) not in str(caught.value)


def test_lists_models(client):
    models = client.predict(api_name="/models")
    assert [model["key"] for model in models] == list_models()
    built_in = [model for model in models if model["key"] in {COCO_MODEL, PERSON_MODEL}]
    assert {model["state"] for model in built_in} <= {"in memory", "on disk"}
    assert {model["state"] for model in models if model not in built_in} == {"to download"}
    assert [model["precisions"] for model in models] == [PRECISIONS] * len(models)


def test_a_model_runs_in_a_precision(client):
    key = f"{PERSON_MODEL}@stock"
    response, _ = client.predict(handle_file(IMAGE), key, 0.3, api_name="/detect")
    assert response["provenance"]["model"] == key
    compared, _ = client.predict(handle_file(IMAGE), [PERSON_MODEL, key], 0.3, None, api_name="/compare")
    assert [model["name"] for model in compared["models"]] == [PERSON_MODEL, key]
    assert compared["pairs"][0]["counts"]["only_a"] == compared["pairs"][0]["counts"]["only_b"] == 0
    assert client.predict(handle_file(IMAGE), key, None, "", api_name="/live")["in_view"]["person"]


def test_a_model_runs_at_an_input_size(client):
    key = f"{PERSON_MODEL}@480px"
    response, _ = client.predict(handle_file(IMAGE), key, 0.3, api_name="/detect")
    assert response["provenance"]["model"] == key
    with pytest.raises(AppError, match="SSDlite models have one input size only"):
        client.predict(handle_file(IMAGE), f"{COCO_MODEL}@480px", 0.3, api_name="/detect")


def test_a_precision_that_the_machine_has_not_is_refused_in_words(client, monkeypatch):
    monkeypatch.setattr("detection_core.models.prepare.sixteen_bits", lambda device: None)
    with pytest.raises(AppError, match="no instructions for numbers of sixteen bits"):
        client.predict(handle_file(IMAGE), f"{PERSON_MODEL}@fast", 0.3, api_name="/detect")


def test_knows_users_models_while_they_are_there(client, tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_DIR, str(tmp_path))
    path = put_model(tmp_path / "pets.pt")
    # Behind the two that are built in.
    listed = client.predict(api_name="/models")[2]
    assert {name: listed[name] for name in ("key", "source", "state", "gflops", "categories")} == {
        "key": "pets", "source": "user", "state": "on disk", "gflops": None, "categories": ["cat", "dog"],
    }  # fmt: skip
    response, _ = client.predict(handle_file(IMAGE), "pets", 0.1, api_name="/detect")
    assert {entry["label"] for entry in response["objects"]} == set(PETS)
    path.unlink()
    assert "pets" not in {model["key"] for model in client.predict(api_name="/models")}
    with pytest.raises(AppError, match="There is no model “pets”"):
        client.predict(handle_file(IMAGE), "pets", 0.1, api_name="/detect")


def test_nothing_else_is_public(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {
        "/compare",
        "/detect",
        "/explain",
        "/live",
        "/models",
    }


def test_requests_that_are_no_uploads_are_bounded(address):
    answer = httpx.post(f"{address}gradio_api/queue/join", content=b"x" * 3_000_000, headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/etc/hostname", str(ASSETS.parent / "app.py")])
def test_files_of_the_machine_are_not_served(address, path):
    assert httpx.get(f"{address}gradio_api/file={path}").status_code == 403


def test_follows_who_is_in_a_stream(client):
    frame = handle_file(ASSETS / "examples" / "astronaut.jpg")
    first = client.predict(frame, PERSON_MODEL, None, "", api_name="/live")
    again = client.predict(frame, PERSON_MODEL, None, first["stream"], api_name="/live")
    assert again["stream"] == first["stream"]
    (person,) = [thing for thing in again["objects"] if thing["track"]]
    assert (person["track"], again["in_view"], again["total"]) == (1, {"person": 1}, {"person": 1})
    assert {"box", "velocity", "polygons", "keypoints", "score"} <= set(person)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ((None, PERSON_MODEL, 0.5, ""), "Send an image file"),
        ((handle_file(IMAGE), "yolo", 0.5, ""), "There is no model"),
        ((handle_file(IMAGE), PERSON_MODEL, 7, ""), "from 0 to 1"),
        ((handle_file(IMAGE), PERSON_MODEL, 0.5, "unknown"), "has ended"),
    ],
    ids=["no image", "unknown model", "wrong threshold", "unknown stream"],
)
def test_a_stream_says_what_is_wrong(client, sent, message):
    with pytest.raises(AppError, match=message):
        client.predict(*sent, api_name="/live")
