from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detection_core.detections import Detections
from detection_core.formats import Provenance, ResultsFormatError, from_json, to_json
from detection_core.formats.json_writing import shortest
from tests.factories import make_detections

_ARRAYS = ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores", "whole_scores")


def reloaded(found: Detections) -> Detections:
    return from_json(json.loads(json.dumps(to_json(found), allow_nan=False)))


def assert_equal(first: Detections, second: Detections) -> None:
    for name in _ARRAYS:
        one, other = getattr(first, name), getattr(second, name)
        assert (one is None) == (other is None), name
        if one is not None:
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            assert one.tobytes() == other.tobytes(), name
    for name in ("image_size", "categories", "keypoint_names", "model"):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize("masks", [True, False], ids=["masks", "no masks"])
@pytest.mark.parametrize("keypoints", [True, False, [2]], ids=["keypoints", "no keypoints", "keypoints of one class"])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_reloading_gives_exactly_the_same(n, masks, keypoints):
    found = make_detections(n, masks=masks, keypoints=keypoints, model="some_model")
    assert_equal(reloaded(found), found)


def test_noisy_masks_come_back_bit_by_bit():
    noise = np.random.default_rng(1).random((3, 28, 28), np.float32)
    found = replace(make_detections(3, masks=True), masks=noise)
    assert_equal(reloaded(found), found)


def test_scores_in_the_whole_image_come_back():
    found = replace(make_detections(3), whole_scores=np.array([0.9, 0, 1 / 3], np.float32))
    assert_equal(reloaded(found), found)
    written = to_json(found)
    del written["objects"][1]["whole_score"]
    with pytest.raises(ResultsFormatError, match="must be finite"):
        from_json(written)


@given(arrays(np.float32, 8, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_shortest_numbers_are_the_same_float32_again(values):
    text = json.dumps([shortest(value) for value in values])
    np.testing.assert_array_equal(np.array(json.loads(text), np.float32), values)


def test_json_says_everything():
    found = make_detections(3, masks=True, keypoints=True, model="some_model")
    provenance = Provenance("some_model", "weights.pth", threshold=0.5)
    content: dict[str, Any] = json.loads(json.dumps(to_json(found, file_name="a.jpg", provenance=provenance)))
    assert (content["model"], content["width"], content["height"], content["summary"]) == ("some_model", 640, 480, found.describe())
    assert (content["file_name"], Provenance.from_json(content["provenance"])) == ("a.jpg", provenance)
    first = content["objects"][0]
    assert (first["label"], first["class_id"], first["score"]) == ("person", 1, 0.95)
    assert first["keypoints"]["left_wrist"]["score"] == 8
    np.testing.assert_allclose(first["polygons"][0], found.polygons(0)[0], atol=0.01)


@pytest.mark.parametrize(
    ("keypoints", "given"), [(False, {}), ([1], {"keypoints": None})], ids=["no keypoints", "keypoints of another class"]
)
def test_an_object_without_keypoints_says_so_only_where_others_could_have_some(keypoints, given):
    dog = to_json(make_detections(2, keypoints=keypoints))["objects"][1]
    assert {key: value for key, value in dog.items() if key == "keypoints"} == given


def _bomb() -> str:
    return base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format="other"), "format"),
        (lambda data: data.update(objects={}), "objects"),
        (lambda data: data.update(mask_size=10**9), "mask_size"),
        (lambda data: data.update(mask_size="28"), "mask_size"),
        (lambda data: data.update(keypoint_names=17), "keypoint_names"),
        (lambda data: data["objects"][1].pop("box"), r"objects\[1\].*box"),
        (lambda data: data["objects"][1].update(box=[1, 2]), r"objects\[1\]"),
        (lambda data: data["objects"][1].update(class_id=10**30), r"objects\[1\]"),
        (lambda data: data["objects"][1].update(class_id=77), "labels"),
        (lambda data: data["objects"][1].update(mask_grid="@@"), r"objects\[1\].*mask_grid"),
        (lambda data: data["objects"][1].update(mask_grid="aaaa"), r"objects\[1\]"),
        (lambda data: data["objects"][1].update(mask_grid=_bomb()), r"objects\[1\].*28×28"),
        (lambda data: data["objects"][1]["keypoints"].pop("nose"), r"objects\[1\].*nose"),
        (lambda data: data["objects"][1].pop("keypoints"), r"objects\[1\].*keypoints"),
        (lambda data: data["objects"][1]["keypoints"]["nose"].update(x=float("nan")), r"objects\[1\].*finite"),
        (lambda data: data["objects"][1]["keypoints"]["nose"].update(score=1e300), r"objects\[1\].*finite"),
        (lambda data: data["objects"].append(None), r"objects\[3\]"),
        (lambda data: data.pop("width"), "width"),
        (lambda data: data.update(categories=None), "categories"),
        (lambda data: data.update(categories=[1, 2, 3, 4]), "categories"),
        (lambda data: data.update(categories=["__background__", "\ud800", "dog", "car"]), "categories.*valid Unicode"),
        (lambda data: data.update(model="\udc00"), "model.*valid Unicode"),
        (lambda data: data["objects"][1].update(box=["x" * 20_000, 0, 5, 5]), r"objects\[1\].{,300}$"),
        (lambda data: data["objects"][1].update(box=["a\nb\u202e", 0, 5, 5]), r"objects\[1\][ -~]*$"),
        (lambda data: data.update(height=1e400), "height"),
        (lambda data: data["objects"][1].update(box=[0, 0, 1e30, 5]), r"objects\[1\].*box"),
    ],
)
def test_damage_is_named(change, message):
    data = to_json(make_detections(3, masks=True, keypoints=True))
    change(data)
    with pytest.raises(ResultsFormatError, match=message):
        from_json(data)


@pytest.mark.parametrize("data", [None, [], "x", 3, {}])
def test_other_json_is_refused(data):
    with pytest.raises(ResultsFormatError, match="format"):
        from_json(data)
