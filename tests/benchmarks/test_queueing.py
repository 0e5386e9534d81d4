"""The simulation of visitors against what queueing theory says exactly."""

from __future__ import annotations

import random

import pytest

from benchmarks.queueing import ImageTimes, detectors_for, simulate


def test_a_single_visitor_does_not_wait():
    load = simulate(1, 1, [ImageTimes(0.1, 0.02)])
    assert load.median == load.high == pytest.approx(0.12)
    assert load.images == pytest.approx(1 / 0.12, rel=0.03)


@pytest.mark.parametrize(("visitors", "detectors"), [(5, 1), (12, 3)])
def test_more_visitors_than_detectors_share_them(visitors: int, detectors: int):
    load = simulate(visitors, detectors, [ImageTimes(0.1, 0.0)], seconds=90)
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
    # The pause is the same each time here; the formula holds for any distribution of it.
    drawn = [ImageTimes(numbers.expovariate(1 / service), pause) for _ in range(20_000)]
    load = simulate(visitors, 1, drawn, seconds=3000)
    assert load.images == pytest.approx((1 - 1 / total) / service, rel=0.03)


def test_slow_times_last():
    """Eight visitors at a detector that is slow for one image in four: the slow ones together, or each among quick ones."""
    quick, slow = ImageTimes(0.05, 0.0), ImageTimes(0.25, 0.0)
    together = simulate(8, 1, [*[quick] * 60, *[slow] * 20], seconds=300)
    apart = simulate(8, 1, [quick, quick, quick, slow], seconds=300)
    assert apart.high == pytest.approx(8 * 0.1, rel=0.01)
    assert together.high == pytest.approx(8 * 0.25, rel=0.01)
    assert together.images == pytest.approx(apart.images, rel=0.05)


def test_finds_the_fewest_detectors():
    measured = [ImageTimes(service, 0.01) for service in (0.08, 0.1, 0.12)]
    found = detectors_for(40, measured, period=0.5, patience=0.3)
    assert 40 * 0.1 / 0.5 <= found <= 12
    assert simulate(40, found, measured, period=0.5).high <= 0.3
    with pytest.raises(ValueError, match="takes longer"):
        detectors_for(4, [ImageTimes(0.4, 0.01)], period=0.5, patience=0.3)
