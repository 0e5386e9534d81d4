"""Precision, recall and F1 at thresholds, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.evaluation.curves import Curves, thresholds_of
from tests.evaluation.scenes import make, random_scene


def brute_force(scene, label: int, threshold: float, iou: float) -> tuple[int, int, int]:
    """Right, wrong and all objects: what COCO's rules give image by image, of the detections above the threshold only."""
    right = wrong = objects = 0
    for image in scene.dataset.images:
        own = [a for a in image.annotations if a["category_id"] == label]
        crowds = [a for a in image.crowds if a["category_id"] == label]
        objects += len(own)
        free = list(own)
        found = [e for e in scene.results.get(image.id, []) if e["category_id"] == label and e["score"] >= threshold]
        for entry in sorted(found, key=lambda entry: -entry["score"]):
            best = max(enumerate(free), key=lambda pair: (overlap(entry["bbox"], pair[1]["bbox"]), pair[0]), default=None)
            if best and overlap(entry["bbox"], best[1]["bbox"]) >= iou:
                free.pop(best[0])
                right += 1
            elif not any(overlap(entry["bbox"], crowd["bbox"], of_first=True) >= iou for crowd in crowds):
                wrong += 1
    return right, wrong, objects


def overlap(a, b, *, of_first: bool = False) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] if of_first else a[2] * a[3] + b[2] * b[3] - shared)


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1), iou=st.sampled_from([0.1, 0.3, 0.5, 0.75]))
def test_counts_equal_brute_force(seed, threshold, iou):
    scene = random_scene(seed, images=4, kinds=False)
    points = Curves(scene.matches(thresholds=[iou], sizes=["all"])).at(threshold)
    for label in (1, 2, 3):
        point = points[label]
        assert (point.right, point.wrong, point.objects) == brute_force(scene, label, threshold, iou)


@given(seed=st.integers(0, 10_000))
def test_the_best_threshold_is_the_best_of_all_scores(seed):
    scene = random_scene(seed, images=4, kinds=False)
    curves = Curves(scene.matches())
    scores = {entry["score"] for found in scene.results.values() for entry in found}
    for label in (1, 2, 3):
        highest = max((curves.at(score)[label].f1 or 0 for score in scores), default=0)
        best = curves.best(label)
        assert (curves.at(best)[label].f1 if best is not None else 0) == pytest.approx(highest)
    together = max((curves.together(score).f1 or 0 for score in scores), default=0)
    best = curves.best()
    assert (curves.together(best).f1 if best is not None else 0) == pytest.approx(together)


def test_curves_hold_the_points_of_all_thresholds():
    curves = Curves(random_scene(3, kinds=False).matches())
    curve = curves.curve(2)
    assert (np.diff(curve.scores) < 0).all()
    for score, precision, recall, f1 in zip(curve.scores, curve.precision, curve.recall, curve.f1, strict=True):
        point = curves.at(score)[2]
        assert (point.precision, point.recall, point.f1) == pytest.approx((precision, recall, f1))
    thinned = curve.thinned(6)
    assert len(curve.scores) > 6 >= len(thinned.scores)
    assert (thinned.scores[0], thinned.scores[-1]) == (curve.scores[0], curve.scores[-1])


def test_each_class_has_its_own_threshold():
    box = [20.0, 20.0, 40.0, 40.0]
    found = [{"bbox": box, "score": 0.4, "category_id": label} for label in (1, 2)]
    curves = Curves(make({1: [{"bbox": box}, {"bbox": box, "category_id": 2}]}, {1: found}).matches())
    points = curves.at(thresholds_of(curves.categories, 0.5, {"class 2": 0.3}))
    assert [point.right for point in points] == [0, 0, 1]
    together = curves.together(thresholds_of(curves.categories, 0.5, {"class 2": 0.3}))
    assert (together.right, together.objects) == (1, 2)
    assert np.isnan(together.threshold)
    assert curves.best_by_class() == {"class 1": 0.4, "class 2": 0.4}


def test_nothing_to_count():
    curves = Curves(make({1: []}, {}).matches())
    point = curves.together(0.5)
    assert (point.precision, point.recall, point.f1, curves.best()) == (None, None, None, None)
    assert len(curves.curve().thinned().scores) == 0
