"""Two models on the same images."""

from __future__ import annotations

import pytest

from detection_core.evaluation.found import Found
from detection_core.evaluation.match import match
from detection_core.evaluation.paired import compare_models, mcnemar
from tests.evaluation.scenes import make

BOX, FAR = [20.0, 20.0, 40.0, 40.0], [120.0, 100.0, 40.0, 40.0]


def test_objects_that_only_one_model_finds():
    scene = make({1: [{"bbox": BOX}, {"bbox": FAR}], 2: [{"bbox": BOX}], 3: [{"bbox": BOX}]}, {})
    truth = scene.truth()
    found = [
        {1: [{"bbox": BOX, "score": 0.9}, {"bbox": FAR, "score": 0.9}], 2: [{"bbox": BOX, "score": 0.9}]},
        {1: [{"bbox": BOX, "score": 0.4}, {"bbox": FAR, "score": 0.2}], 3: [{"bbox": box, "score": 0.9} for box in (BOX, FAR)]},
    ]
    filled = [make({}, each).results for each in found]
    a, b = (match(truth, Found.of(truth, each.items(), scene.labels)) for each in filled)
    result = compare_models(a, b, 0.5, 0.3)
    assert (result.both, result.only_a.tolist(), result.only_b.tolist(), result.neither) == (1, [1, 2], [3], 0)
    assert (result.wrong_a, result.wrong_b) == (0, 1)
    # On image 3, A misses the object, and B invents another one.
    assert [tuple(image) for image in result.images] == [(1, "1.png", 0, 1), (2, "2.png", 0, 1)]
    assert result.p_value == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(0, 0, 1), (5, 5, 1), (0, 5, 2 / 32), (1, 7, 2 * 9 / 256), (400, 700, None)],
)
def test_mcnemar(a, b, expected):
    assert mcnemar(a, b) == mcnemar(b, a)
    assert mcnemar(a, b) == pytest.approx(expected) if expected is not None else mcnemar(a, b) < 1e-15


def test_the_approximation_continues_the_exact_sum():
    assert mcnemar(470, 530) == pytest.approx(mcnemar(471, 531), rel=0.02)
