"""The simulation of visitors against what queueing theory says exactly."""

from __future__ import annotations

import random

import pytest

from benchmarks.queueing import detectors_for, simulate


def test_one_visitor_waits_for_nobody():
    load = simulate(1, 1, [0.1], overhead=0.02)
    assert load.median == load.high == pytest.approx(0.12)
    assert load.images == pytest.approx(1 / 0.12, rel=0.02)


@pytest.mark.parametrize(("visitors", "detectors"), [(5, 1), (12, 3)])
def test_more_visitors_than_detectors_share_them(visitors: int, detectors: int):
    load = simulate(visitors, detectors, [0.1], overhead=0.0, seconds=90)
    assert load.images == pytest.approx(detectors / 0.1, rel=0.02)
    assert load.median == pytest.approx(0.1 * visitors / detectors, rel=0.02)


def test_idle_times_are_those_of_machines_and_one_repairman():
    """Exponential service and sources that pause: the closed M/M/1//N queue, whose throughput is known (Erlang)."""
    visitors, service, pause = 6, 0.1, 0.5
    weight = total = 1.0
    for waiting in range(1, visitors + 1):
        weight *= (visitors - waiting + 1) * service / pause
        total += weight
    numbers = random.Random(1)
    drawn = [numbers.expovariate(1 / service) for _ in range(20_000)]
    load = simulate(visitors, 1, drawn, overhead=pause, seconds=3000)
    # The pause is the same each time here; the formula holds for any distribution of it.
    assert load.images == pytest.approx((1 - 1 / total) / service, rel=0.03)


def test_finds_the_fewest_detectors():
    wanted = {"overhead": 0.01, "period": 0.5, "patience": 0.3}
    found = detectors_for(40, [0.08, 0.1, 0.12], **wanted)
    assert 40 * 0.1 / 0.5 <= found <= 12
    assert simulate(40, found, [0.08, 0.1, 0.12], overhead=0.01, period=0.5).high <= 0.3
    with pytest.raises(ValueError, match="takes longer"):
        detectors_for(4, [0.4], **wanted)
