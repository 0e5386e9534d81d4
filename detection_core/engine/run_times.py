"""How long models take here: the median of their latest runs."""

from __future__ import annotations

import statistics
from collections import deque

# Number of runs whose median is taken as what a model takes here.
_LATEST_RUNS = 15
# What an image is taken to cost until its model has run.
_UNKNOWN_SECONDS = 0.5
# No clock is finer.
_LEAST_SECONDS = 1e-6


class RunTimes:
    """The latest run times of each model. Not safe for threads: its owner has a lock."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}
        self._first: dict[str, float] = {}

    def record(self, model: str, seconds: float, *, first: bool = False) -> None:
        """Remembers one run of a model; `first` says that it was its first since it was loaded, which is slower than the rest."""
        if first:
            self._first[model] = seconds
        else:
            self._seconds.setdefault(model, deque(maxlen=_LATEST_RUNS)).append(seconds)

    def medians(self, *, first: bool = False) -> dict[str, float]:
        """The median of the latest runs by key of the models that have run; with `first`, their first run of those without others."""
        return (self._first if first else {}) | {model: statistics.median(seconds) for model, seconds in self._seconds.items()}

    def cost(self, model: str) -> float:
        """What an image is expected to take; above 0 always."""
        seconds = self._seconds.get(model)
        return max(statistics.median(seconds), _LEAST_SECONDS) if seconds else _UNKNOWN_SECONDS
