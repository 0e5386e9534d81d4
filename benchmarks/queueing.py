"""Simulates visitors with live cameras at a number of detectors, from measured times of single images."""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What visitors get.

    Attributes:
        images: Images a second, of all visitors.
        median: Seconds from sending an image to its result, the median.
        high: The 95th percentile of that.
    """

    images: float
    median: float
    high: float


def simulate(
    visitors: int, detectors: int, service: Sequence[float], *, overhead: float, period: float = 0.0, seconds: float = 30.0, seed: int = 0
) -> Load:
    """Simulates visitors who each have one image on its way: the next is sent when its period is over and the result is there.

    Images wait in one line, first come first served; a detector takes one at a time.

    Args:
        visitors: How many visitors there are.
        detectors: How many detectors there are.
        service: Measured seconds of single images, from which each image's time is drawn.
        overhead: Seconds that an image is on its way without keeping a detector busy.
        period: The shortest time between a visitor's images.
        seconds: How long it is simulated; the first third, in which the line builds up, does not count.
        seed: Of the random numbers.
    """
    random_numbers = random.Random(seed)
    arrivals = [(random_numbers.random() * max(period, 0.1), visitor) for visitor in range(visitors)]
    heapq.heapify(arrivals)
    free = [0.0] * detectors
    taken = []
    while arrivals[0][0] < seconds:
        sent, visitor = arrivals[0]
        done = max(sent, free[0]) + random_numbers.choice(service)
        heapq.heapreplace(free, done)
        heapq.heapreplace(arrivals, (max(sent + period, done + overhead), visitor))
        if sent > seconds / 3:
            taken.append(done + overhead - sent)
    return Load(len(taken) / (seconds * 2 / 3), statistics.median(taken), statistics.quantiles(taken, n=20)[-1])


def detectors_for(visitors: int, service: Sequence[float], *, overhead: float, period: float, patience: float) -> int:
    """Returns the fewest detectors with which 95 % of the images take no longer than `patience`; the other arguments as in `simulate`.

    Raises:
        ValueError: If a single image takes longer.
    """
    if simulate(1, 1, service, overhead=overhead, period=period).high > patience:
        raise ValueError("an image takes longer than that without any other")
    low, high = 0, visitors
    while high - low > 1:
        middle = (low + high) // 2
        load = simulate(visitors, middle, service, overhead=overhead, period=period, seconds=max(6.0, 6 * period))
        low, high = (low, middle) if load.high <= patience else (middle, high)
    return high
