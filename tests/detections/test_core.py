from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection_core.detections import Detections, plural
from tests.factories import COCO_KEYPOINT_NAMES, make_detections


def test_sorts_by_score():
    shuffled = make_detections(4)
    order = [2, 0, 3, 1]
    again = Detections(shuffled.boxes[order], shuffled.labels[order], shuffled.scores[order], shuffled.image_size, shuffled.categories)
    np.testing.assert_array_equal(again.scores, shuffled.scores)
    np.testing.assert_array_equal(again.boxes, shuffled.boxes)


@pytest.mark.parametrize(
    ("index", "kept"),
    [(slice(2), [0, 1]), ([3, 1], [1, 3]), (np.array([True, False, False, True, False]), [0, 3]), ([], []), (np.zeros(5, bool), [])],
    ids=["slice", "list", "mask", "empty list", "empty mask"],
)
def test_indexing_filters_every_field(index, kept):
    found = make_detections(5, masks=True, keypoints=True)
    picked = found[index]
    for name in ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores"):
        np.testing.assert_array_equal(getattr(picked, name), getattr(found, name)[kept])
    assert picked.image_size == found.image_size


def test_a_single_integer_is_refused():
    with pytest.raises(TypeError, match="detections\\[\\[i\\]\\]"):
        make_detections(2)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 4))}, "boxes has shape"),
        ({"labels": np.array([-1, 1, 1])}, "labels must lie in 0–3"),
        ({"labels": np.array([1, 1, 4])}, "labels must lie in 0–3"),
        ({"boxes": np.full((3, 4), np.nan)}, "finite"),
        ({"masks": np.zeros((3, 28, 14))}, "masks has shape"),
        ({"keypoints": np.zeros((3, 0, 2))}, "together"),
        ({"image_size": (0, 10)}, "image_size"),
    ],
    ids=["box count", "negative label", "label too large", "not finite", "mask not square", "keypoints without scores", "no size"],
)
def test_refuses_what_does_not_fit(change, message):
    good = make_detections(3)
    fields = {
        "boxes": good.boxes,
        "labels": good.labels,
        "scores": good.scores,
        "image_size": good.image_size,
        "categories": good.categories,
    }
    with pytest.raises(ValueError, match=message):
        Detections(**{**fields, **change})


NONE, ALL = np.full((1, 17, 3), np.nan), np.ones((1, 17, 3))
ONE_MISSING = np.concatenate([ALL[:, :16], NONE[:, :1]], axis=1)
NO_SCORES = np.concatenate([ALL[..., :2], NONE[..., :1]], axis=2)


def with_keypoints(*rows: np.ndarray) -> Detections:
    keypoints = np.concatenate(rows)
    given = {"keypoints": keypoints[..., :2], "keypoint_scores": keypoints[..., 2], "keypoint_names": tuple(COCO_KEYPOINT_NAMES)}
    return replace(make_detections(len(rows)), **given)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (make_detections(3), [False] * 3),
        (make_detections(3, keypoints=True), [True] * 3),
        (make_detections(3, keypoints=[1, 3]), [True, False, True]),
        (make_detections(3, keypoints=[1, 3])[[1, 2]], [False, True]),
        (make_detections(0, keypoints=True), []),
        (with_keypoints(NONE, ALL), [False, True]),
    ],
    ids=["no keypoints", "all", "some", "some, filtered", "nothing", "by hand"],
)
def test_objects_say_whether_they_have_keypoints(found, expected):
    assert found.has_keypoints.dtype == np.bool_
    assert found.has_keypoints.tolist() == expected


@pytest.mark.parametrize("wrong", [ONE_MISSING, NO_SCORES, ALL * np.inf], ids=["one keypoint missing", "places without scores", "infinite"])
def test_an_object_has_all_keypoints_or_none(wrong):
    with pytest.raises(ValueError, match="all finite, or all NaN"):
        with_keypoints(ALL, wrong, NONE)


@pytest.mark.parametrize(
    ("labels", "text"),
    [([1], "1 person"), ([1, 1, 2], "2 persons, 1 dog"), ([2, 3, 3], "2 cars, 1 dog"), ([], "nothing")],
    ids=["one", "two kinds", "most frequent first", "none"],
)
def test_describe(labels, text):
    assert make_detections(len(labels), labels=labels).describe() == text


@pytest.mark.parametrize(
    ("name", "many"),
    [("dog", "dogs"), ("bus", "buses"), ("wine glass", "wine glasses"), ("knife", "knives"), ("couch", "couches"), ("sheep", "sheep")],
)
def test_plural(name, many):
    assert plural(name) == many


def test_empty():
    nothing = Detections.empty((10, 20), ("__background__", "person"), model="some")
    assert len(nothing) == 0
    assert nothing.describe() == "nothing"
    assert nothing.masks is None


@pytest.mark.parametrize("method", ["mask", "polygons"])
def test_masks_need_a_model_that_gives_them(method):
    with pytest.raises(ValueError, match="no masks"):
        getattr(make_detections(1), method)(0)
