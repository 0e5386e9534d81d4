"""The shipped models find the objects in the example images, with people's masks and keypoints in the right places."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector

# Drawn by hand: the person's box, and a place within it where the face is, in pixels.
PEOPLE = {
    "astronaut": ((10, 10, 370, 512), (180, 60, 275, 190)),
    "grace_hopper": ((17, 25, 510, 600), (160, 100, 370, 330)),
    "cameraman": ((5, 58, 300, 512), (160, 65, 270, 200)),
}

# What is plainly to be seen in images.
THINGS = {
    "astronaut": {"person"},
    "chelsea": {"cat"},
    "coffee": {"cup"},
    "dogs": {"dog"},
    "grace_hopper": {"person", "tie"},
    "horses": {"horse"},
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(PERSON_MODEL)


@pytest.fixture(scope="module", params=PEOPLE)
def found(request, detector) -> tuple[str, Detections]:
    return request.param, detector.detect(ASSETS / "examples" / f"{request.param}.jpg")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    corner, other = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = (other - corner).clip(0).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def test_the_best_object_is_the_person(found):
    name, detections = found
    assert detections.scores[0] > get_model_spec(PERSON_MODEL).default_threshold
    assert iou(detections.boxes[0], np.array(PEOPLE[name][0], float)) > 0.7


def test_the_outline_covers_most_of_the_box(found):
    _, detections = found
    crop, _ = detections.mask(0)
    assert 0.4 < crop.sum() / np.prod(detections.boxes[0][2:] - detections.boxes[0][:2]) < 0.95


def test_a_keypoint_of_the_face_lies_in_the_face(found):
    name, detections = found
    x0, y0, x1, y1 = PEOPLE[name][1]
    face = detections.keypoint_scores[0, :5].argmax()
    x, y = detections.keypoints[0, face]
    assert x0 < x < x1
    assert y0 < y < y1


@pytest.fixture(scope="module")
def coco_detector() -> Detector:
    return Detector(COCO_MODEL)


@pytest.mark.parametrize("name", THINGS)
def test_the_coco_model_sees_more_than_people(coco_detector, name):
    found = coco_detector.detect(ASSETS / "examples" / f"{name}.jpg")
    found = found[found.scores > get_model_spec(COCO_MODEL).default_threshold]
    labels = {found.categories[label] for label in found.labels}
    assert labels >= THINGS[name]
    for index in range(len(found)):
        x0, y0, x1, y1 = found.boxes[index]
        crop, _ = found.mask(index)
        assert 0.1 < crop.sum() / ((x1 - x0) * (y1 - y0)) < 1


@pytest.mark.parametrize("key", [COCO_MODEL, PERSON_MODEL])
def test_the_file_is_small_and_its_card_says_where_it_comes_from(key):
    assert (ASSETS / f"{key}.pth").stat().st_size < 16 * 2**20
    card = json.loads((ASSETS / f"{key}.json").read_text())
    assert {"data", "license", "recipe", "measured", "metrics", "default_threshold", "limits"} <= card.keys()
    assert card["file_size"] == pytest.approx((ASSETS / f"{key}.pth").stat().st_size / 2**20, abs=0.1)
