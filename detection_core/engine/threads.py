"""With how many threads a model runs: whichever number has been faster of late."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import torch

_Given = TypeVar("_Given")
_Taken = TypeVar("_Taken")

# Of a number of threads so many runs are remembered.
_REMEMBERED = 5
# Every so many runs the other number is tried: what was true a while ago may not be any more.
_RUNS_BETWEEN_TRIALS = 12
# A slower model is not tried with other numbers, seconds: a trial would keep somebody waiting, and such models always gain by more cores.
_SLOWEST_TRIED = 0.4


class ThreadChooser:
    """Chooses between one thread and all cores for one model.

    Two threads that wait for each other in every layer are slower than one as soon as somebody else is at work on one of the cores: a
    browser on the same machine, another process, a neighbour on the host. Nobody tells us of them, and how busy a machine looks says
    little about which threads have to wait. But a run tells how long it took. So both numbers are tried from time to time, and the one
    whose latest runs were faster is used in between. Slow models always get all cores.

    Args:
        cores: How many threads there are at most; with one there is nothing to choose.
    """

    def __init__(self, cores: int) -> None:
        self._choices = sorted({1, cores}, reverse=True)
        self._seconds = {threads: deque[float](maxlen=_REMEMBERED) for threads in self._choices}
        self._runs = 0

    def choose(self) -> int:
        """The number of threads for the next run."""
        best = self._best()
        usual = self._seconds[best]
        if len(usual) < _REMEMBERED or statistics.median(usual) > _SLOWEST_TRIED:
            return best
        if self._runs % _RUNS_BETWEEN_TRIALS == 0:
            return next((threads for threads in self._choices if threads != best), best)
        return best

    def ran(self, threads: int, seconds: float) -> None:
        """Learns how long a run with so many threads took."""
        self._seconds[threads].append(seconds)
        self._runs += 1

    def steer(self, detect: Callable[[_Taken], _Given]) -> Callable[[_Taken], _Given]:
        """The same function, which sets the number of threads of the thread that calls it, and tells how long it took."""

        def steered(picture: _Taken) -> _Given:
            threads = self.choose()
            torch.set_num_threads(threads)
            started = time.perf_counter()
            found = detect(picture)
            self.ran(threads, time.perf_counter() - started)
            return found

        return steered

    def _best(self) -> int:
        known = [threads for threads in self._choices if self._seconds[threads]]
        return min(known, key=lambda threads: statistics.median(self._seconds[threads]), default=self._choices[0])
