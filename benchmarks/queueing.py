"""Simulates visitors with live cameras at a number of detectors, from measured times of single images."""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# The part of the time in which the line builds up; its images do not count, in the simulation and in measurements.
WARM_UP = 1 / 3


@dataclass(frozen=True)
class ImageTimes:
    """What an image took, without its time in line.

    Attributes:
        service: Seconds in the model, which keep a detector busy.
        overhead: Seconds on its way, which do not.
    """

    service: float
    overhead: float


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

    @classmethod
    def of(cls, answers: Sequence[tuple[float, float]], seconds: float) -> Load:
        """Summarizes what was sent when and took how long, of the time after the line has built up."""
        taken = [took for sent, took in answers if WARM_UP * seconds < sent < seconds]
        return cls(
            len(taken) / (seconds * (1 - WARM_UP)), statistics.median(taken), statistics.quantiles(taken, n=20, method="inclusive")[-1]
        )

    def deviation(self, other: Load) -> float:
        """Returns by which part the figures of two loads differ at most."""
        pairs = ((self.images, other.images), (self.median, other.median), (self.high, other.high))
        return max(abs(ours / theirs - 1) for ours, theirs in pairs)


def simulate(
    visitors: int, detectors: int, measured: Sequence[ImageTimes], *, period: float = 0.0, seconds: float = 30.0, seed: int = 0
) -> Load:
    """Simulates visitors who each have one image on its way: the next is sent when its period is over and the result is there.

    Images wait in one line, first come first served; a detector takes one at a time. Each detector repeats the measured images in their
    order, from a place of its own: slow images come one after the other, because other programs run for a while, and drawn by
    chance they would even out.

    Args:
        visitors: How many visitors there are.
        detectors: How many detectors there are.
        measured: Times of single images, in the order in which they were measured.
        period: The shortest time between a visitor's images.
        seconds: How long it is simulated.
        seed: Of the random numbers.
    """
    random_numbers = random.Random(seed)
    arrivals = [(random_numbers.random() * max(period, 0.1), visitor) for visitor in range(visitors)]
    heapq.heapify(arrivals)
    free = [(0.0, detector) for detector in range(detectors)]
    places = [random_numbers.randrange(len(measured)) for _ in free]
    answers = []
    while arrivals[0][0] < seconds:
        sent, visitor = arrivals[0]
        free_from, detector = free[0]
        image = measured[places[detector]]
        places[detector] = (places[detector] + 1) % len(measured)
        done = max(sent, free_from) + image.service
        heapq.heapreplace(free, (done, detector))
        heapq.heapreplace(arrivals, (max(sent + period, done + image.overhead), visitor))
        answers.append((sent, done + image.overhead - sent))
    return Load.of(answers, seconds)


def detectors_for(visitors: int, measured: Sequence[ImageTimes], *, period: float, patience: float) -> int:
    """Returns the fewest detectors with which 95 % of the images take no longer than `patience`; the other arguments as in `simulate`.

    Raises:
        ValueError: If a single image takes longer.
    """
    if simulate(1, 1, measured, period=period).high > patience:
        raise ValueError("an image takes longer than that without any other")
    low, high = 0, visitors
    while high - low > 1:
        middle = (low + high) // 2
        load = simulate(visitors, middle, measured, period=period, seconds=max(6.0, 6 * period))
        low, high = (low, middle) if load.high <= patience else (middle, high)
    return high
