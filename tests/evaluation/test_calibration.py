"""Whether scores mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from detection_core.evaluation.calibration import calibration
from tests.evaluation.scenes import make

BOX, FAR = [20.0, 20.0, 40.0, 40.0], [120.0, 100.0, 40.0, 40.0]


def test_precision_of_each_interval():
    found = [{"bbox": BOX, "score": 0.95}, {"bbox": FAR, "score": 0.91}, {"bbox": FAR, "score": 0.25}, {"bbox": FAR, "score": 0.0}]
    result = calibration(make({1: [{"bbox": BOX}]}, {1: found}).matches())
    assert result.right.tolist() == [0] * 9 + [1]
    assert result.wrong.tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert result.precision[[0, 2, 9]].tolist() == [0, 0, 0.5]
    assert np.isnan(result.precision[1])
    assert result.error == pytest.approx((0 + 0.25 + 2 * (0.93 - 0.5)) / 4)
    assert calibration(make({1: [{"bbox": BOX}]}, {1: found}).matches(), lowest=0.5).wrong.sum() == 1


def test_a_score_of_one_belongs_to_the_last_interval():
    result = calibration(make({1: [{"bbox": BOX}]}, {1: [{"bbox": BOX, "score": 1.0}]}).matches(), bins=4)
    assert (result.right.tolist(), result.error) == ([0, 0, 0, 1], 0)


def test_without_detections_there_is_no_error():
    assert calibration(make({1: [{"bbox": BOX}]}, {}).matches()).error is None
