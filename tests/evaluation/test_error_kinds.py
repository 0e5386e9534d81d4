"""Kinds of errors and what they cost, as in TIDE."""

from __future__ import annotations

import numpy as np
import pytest

from detection_core.evaluation.average_precision import class_figures
from detection_core.evaluation.error_kinds import ErrorKind, error_kinds
from tests.evaluation.scenes import make, random_scene

BOX, FAR = [20.0, 20.0, 40.0, 40.0], [120.0, 100.0, 40.0, 40.0]
# IoU with BOX of 1/3 and 1/19.
SHIFTED, APART = [40.0, 20.0, 40.0, 40.0], [56.0, 20.0, 40.0, 40.0]


def counts(kinds) -> dict[str, int]:
    return {str(kind): number for kind, number in kinds.counts.items() if number}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([{"bbox": BOX}], {}),
        ([], {"missed": 1}),
        ([{"bbox": SHIFTED}], {"place": 1}),
        ([{"bbox": BOX, "category_id": 2}], {"class": 1}),
        ([{"bbox": SHIFTED, "category_id": 2}], {"both": 1, "missed": 1}),
        ([{"bbox": BOX}, {"bbox": BOX}], {"duplicate": 1}),
        ([{"bbox": BOX}, {"bbox": BOX, "category_id": 2}], {"class": 1}),
        ([{"bbox": BOX}, {"bbox": SHIFTED}], {"place": 1}),
        ([{"bbox": FAR}], {"background": 1, "missed": 1}),
        ([{"bbox": APART}], {"background": 1, "missed": 1}),
    ],
)
def test_every_error_has_one_kind(found, expected):
    scores = np.linspace(0.9, 0.5, len(found))
    scene = make({1: [{"bbox": BOX}]}, {1: [{"score": float(score), **entry} for score, entry in zip(scores, found, strict=True)]})
    assert counts(error_kinds(scene.matches())) == expected


def test_what_mending_one_kind_gives_back():
    """Of two objects one is missed, and a wrong detection comes before the right one."""
    objects = [{"bbox": BOX}, {"bbox": FAR}]
    results = [{"bbox": BOX, "score": 0.9}, {"bbox": [160.0, 100.0, 40.0, 40.0], "score": 0.95}]
    kinds = error_kinds(make({1: objects}, {1: results}, classes=1).matches())
    # Half of the recalls are reached (0 to 0.5, 51 of 101 points), with a precision of a half.
    assert kinds.ap == pytest.approx(51 / 101 / 2)
    assert counts(kinds) == {"background": 1, "missed": 1}
    assert kinds.gains[ErrorKind.BACKGROUND] == pytest.approx(51 / 101 / 2)
    assert kinds.gains[ErrorKind.MISSED] == pytest.approx(0.5 - 51 / 101 / 2)


def test_a_corrected_class_counts_for_the_other_class():
    objects = {1: [{"bbox": BOX}, {"bbox": FAR, "category_id": 2}]}
    found = [{"bbox": BOX, "score": 0.9}, {"bbox": FAR, "score": 0.8}]
    kinds = error_kinds(make(objects, {1: found}).matches())
    assert kinds.ap == pytest.approx(0.5)
    assert kinds.gains[ErrorKind.CLASS] == pytest.approx(0.5)


def test_only_the_best_of_several_corrected_errors_counts():
    found = [{"bbox": SHIFTED, "score": 0.9}, {"bbox": BOX, "category_id": 2, "score": 0.8}, {"bbox": SHIFTED, "score": 0.7}]
    kinds = error_kinds(make({1: [{"bbox": BOX}]}, {1: found}).matches())
    assert counts(kinds) == {"place": 2, "class": 1}
    assert kinds.gains[ErrorKind.PLACE] == pytest.approx(1)
    assert kinds.gains[ErrorKind.CLASS] == 0


def test_detections_that_are_ignored_are_no_errors():
    crowd = {"bbox": [0.0, 0.0, 200.0, 150.0], "iscrowd": 1}
    kinds = error_kinds(make({1: [crowd]}, {1: [{"bbox": BOX, "score": 0.9}]}).matches())
    assert (counts(kinds), kinds.ap) == ({}, None)


@pytest.mark.parametrize("seed", range(5))
def test_errors_are_complete(seed):
    scene = random_scene(seed, kinds=False)
    matches = scene.matches()
    kinds = error_kinds(matches)
    wrong = (~matches.right[0, 0] & ~matches.ignored[0, 0]).sum()
    assert sum(number for kind, number in kinds.counts.items() if kind is not ErrorKind.MISSED) == wrong == len(kinds.detection)
    assert kinds.ap == pytest.approx(class_figures(matches).summary["AP50"])


def test_errors_by_object_size():
    """A medium object is missed and a large one has a wrong class; a small detection is a false positive."""
    large = [60.0, 60.0, 120.0, 120.0]
    found = [{"bbox": large, "category_id": 2, "score": 0.9}, {"bbox": [0.0, 0.0, 9.0, 9.0], "score": 0.8}]
    matches = make({1: [{"bbox": BOX}, {"bbox": large}]}, {1: found}).matches()
    by_size = {name: counts(error_kinds(matches, size=size)) for size, name in enumerate(matches.sizes)}
    assert by_size == {
        "all": {"class": 1, "background": 1, "missed": 1},
        "small": {"background": 1},
        "medium": {"missed": 1},
        "large": {"class": 1},
    }
    assert error_kinds(matches, size=3).gains[ErrorKind.CLASS] == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_each_size_is_coco_s(seed):
    matches = random_scene(seed, kinds=False).matches()
    precision = class_figures(matches).precision[:, 0]
    for size in range(4):
        known = precision[size][~np.isnan(precision[size])]
        assert error_kinds(matches, size=size).ap == pytest.approx(known.mean() if len(known) else None)
