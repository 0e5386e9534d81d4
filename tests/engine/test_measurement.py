from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detection_core.engine import Job, Result, summarize, take_turns
from detection_core.images.reading import read_image
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.detector import Timings
from tests.factories import make_detections

A, B = list_specs()[:2]


def a_result(network: float, post: float = 0.0, **more: Any) -> Result:
    return Result(make_detections(1), Timings(network=network, post=post), A, **more)


def test_medians_leave_out_what_was_not_warm():
    results = [
        a_result(9, first_run=True),
        a_result(8, kept=True),
        a_result(0.3, 0.01, memory=50),
        a_result(0.1, 0.03, memory=70),
        a_result(0.2, 0.02),
    ]
    measured = summarize(results)
    assert measured is not None
    assert (measured.median, measured.low, measured.high, measured.runs) == pytest.approx((0.22, 0.13, 0.31, 3))
    assert measured.parts == pytest.approx({"network": 0.2, "results": 0.02})
    assert measured.memory == 70


@pytest.mark.parametrize("results", [[], [a_result(1, first_run=True)], [a_result(1, kept=True)]], ids=["none", "cold", "kept"])
def test_nothing_warm_is_no_measurement(results):
    assert summarize(results) is None


def test_memory_that_is_not_reported_stays_unknown():
    measured = summarize([a_result(1)])
    assert measured is not None
    assert measured.memory is None


def test_models_take_turns():
    asked = []

    class Engine:
        def submit(self, image: Any, spec: ModelSpec, **how: Any) -> Job:
            asked.append((spec, how))
            return Job(spec)

    image = read_image(np.zeros((8, 8, 3), np.uint8))
    given = [model for model, _ in take_turns(Engine(), image, [A, B], rounds=2, visitor="me")]  # type: ignore[arg-type]
    assert given == [A, B, A, B] == [model for model, _ in asked]
    assert all(how == {"visitor": "me", "measure": True} for _, how in asked)
