"""The confusion matrix, against pairing by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.evaluation.confusion import Confusions
from detection_core.evaluation.curves import Curves
from tests.evaluation.scenes import make, random_scene
from tests.evaluation.test_curves import overlap

BOX, NEAR, FAR = [20.0, 20.0, 40.0, 40.0], [22.0, 20.0, 40.0, 40.0], [120.0, 100.0, 40.0, 40.0]


def brute_force(scene, threshold: float, iou: float) -> np.ndarray:
    size = len(scene.dataset.categories)
    counts = np.zeros((size, size), int)
    for image in scene.dataset.images:
        free = list(enumerate(image.annotations))
        left = []
        found = [entry for entry in scene.results.get(image.id, []) if entry["score"] >= threshold]
        for number, entry in enumerate(sorted(found, key=lambda entry: -entry["score"])):
            own = [pair for pair in free if pair[1]["category_id"] == entry["category_id"]]
            best = max(own, key=lambda pair: (overlap(entry["bbox"], pair[1]["bbox"]), pair[0]), default=None)
            if best and overlap(entry["bbox"], best[1]["bbox"]) >= iou:
                free.remove(best)
                counts[entry["category_id"], entry["category_id"]] += 1
            elif not any(
                crowd["category_id"] == entry["category_id"] and overlap(entry["bbox"], crowd["bbox"], of_first=True) >= iou
                for crowd in image.crowds
            ):
                left.append((number, entry))
        pairs = sorted(
            (-overlap(entry["bbox"], each["bbox"]), number, index)
            for number, entry in left
            for index, each in free
            if overlap(entry["bbox"], each["bbox"]) >= iou
        )
        entries, objects = dict(left), dict(free)
        for _, number, index in pairs:
            if number in entries and index in objects:
                counts[objects.pop(index)["category_id"], entries.pop(number)["category_id"]] += 1
        for each in objects.values():
            counts[each["category_id"], 0] += 1
        for entry in entries.values():
            counts[0, entry["category_id"]] += 1
    return counts


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1), iou=st.sampled_from([0.1, 0.3, 0.5, 0.75]))
def test_counts_equal_brute_force(seed, threshold, iou):
    scene = random_scene(seed, images=4, kinds=False)
    matches = scene.matches(thresholds=[iou], sizes=["all"])
    result = Confusions(matches).at(threshold)
    np.testing.assert_array_equal(result.counts, brute_force(scene, threshold, iou))
    points = Curves(matches).at(threshold)
    assert [point.right for point in points[1:]] == np.diag(result.counts)[1:].tolist()
    assert result.counts[1:].sum() == matches.truth.objects.sum()
    cells = [(row, column, len(result.cell(row, column))) for row in range(4) for column in range(4)]
    assert all(number == result.counts[row, column] for row, column, number in cells)


@pytest.mark.parametrize(
    ("found", "cell", "expected"),
    [
        ({"bbox": NEAR, "score": 0.9}, (1, 1), (BOX, NEAR, 0.9)),
        ({"bbox": NEAR, "score": 0.9, "category_id": 2}, (1, 2), (BOX, NEAR, 0.9)),
        ({"bbox": FAR, "score": 0.9}, (0, 1), (None, FAR, 0.9)),
        ({"bbox": FAR, "score": 0.9}, (1, 0), (BOX, None, None)),
        ({"bbox": BOX, "score": 0.4}, (1, 0), (BOX, None, None)),
    ],
    ids=["right", "other class", "false positive", "missed", "below the threshold"],
)
def test_cells_hold_their_objects(found, cell, expected):
    result = Confusions(make({7: [{"bbox": BOX}]}, {7: [found]}).matches()).at(0.5)
    assert result.counts[cell] == 1
    (entry,) = result.cell(*cell)
    annotated, detected, score = expected
    assert (entry.image_id, entry.file_name, entry.score) == (7, "7.png", score)
    assert entry.annotated == (tuple(annotated) if annotated else None)
    assert entry.detected == (tuple(detected) if detected else None)
    assert entry.iou == (pytest.approx(38 / 42) if annotated and detected else None)


def test_rows_are_normalized():
    objects = [{"bbox": BOX}, {"bbox": FAR}]
    result = Confusions(make({1: objects}, {1: [{"bbox": BOX, "score": 0.9}]}).matches()).at(0.5)
    assert result.normalized().tolist() == [[0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]
