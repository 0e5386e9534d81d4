"""Which cores an image gets: light models one each and side by side, heavy ones all of them and one at a time."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

# Of a number of threads so many runs are remembered.
_REMEMBERED = 5
# Every so many runs the other number is tried: what was true a while ago may not be any more.
_RUNS_BETWEEN_TRIALS = 12
# A model that takes longer with all cores is heavy, seconds: a trial with one thread would make a visitor wait.
_HEAVY = 0.4


@dataclass(eq=False)
class CoreAllocation:
    """What one run has of the cores.

    Attributes:
        model: The model's key.
        threads: With how many threads it runs.
        cores: How many cores are kept free for it.
        alone: Whether nothing else has been running at any time since it began.
    """

    model: str
    threads: int
    cores: int
    alone: bool


class Cores:
    """Deals out a processor's cores to runs of models.

    Two threads of one network wait for each other in every layer. On two quiet cores that costs a light model a tenth to a third of what
    the second core could do; if another program uses one of them (a browser on the same machine, a neighbor on the host), two
    threads are slower than one. So:

    - While several images of light models wait, each runs with one thread, as many of them side by side as there are cores: no thread
      waits for another one, which gives the highest throughput.
    - A single image of a light model gets one thread or all cores, whichever was faster recently, see `ThreadChooser`.
    - Heavy models make good use of many threads, and their memory should be needed once: they get all cores, one at a time. So does a
      model of which nothing is known yet.

    Not safe to use from several threads: its owner has a lock.

    Args:
        count: How many cores there are. One, also for a GPU: then everything runs one at a time.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._running: set[CoreAllocation] = set()
        self._choosers: dict[str, ThreadChooser] = {}

    def acquire(self, model: str, *, others_wait: bool, undisturbed: bool = False) -> CoreAllocation | None:
        """Allocates cores to a run, or returns None if it has to wait until other runs have released theirs.

        Args:
            model: The model's key.
            others_wait: Whether more images are waiting behind this one.
            undisturbed: Whether nothing may run beside it, as when it is measured.
        """
        chooser = self._choosers.setdefault(model, ThreadChooser(self.count))
        if undisturbed or not chooser.is_light:
            threads, cores = chooser.choose(), self.count
        elif others_wait or self._running:
            threads = cores = 1
        else:
            threads = cores = chooser.choose()
        if cores > self.count - sum(running.cores for running in self._running):
            return None
        for other in self._running:
            other.alone = False
        allocation = CoreAllocation(model, threads, cores, alone=not self._running)
        self._running.add(allocation)
        return allocation

    def release(self, allocation: CoreAllocation, seconds: float | None) -> None:
        """Ends a run.

        Args:
            allocation: What it had.
            seconds: How long it took; None if that is not typical, because it failed or was the model's first.
        """
        self._running.remove(allocation)
        if seconds is not None and allocation.alone:
            self._choosers[allocation.model].record(allocation.threads, seconds)


class ThreadChooser:
    """Chooses between one thread and all cores for one model that runs alone.

    What other programs do on the machine is unknown, and its load says little about which threads have to wait. But the time of each run
    is known. So both numbers are tried from time to time, and the one whose latest runs were faster is used in between.
    Heavy models always get all cores.

    Args:
        cores: How many threads there are at most; with one there is nothing to choose.
    """

    def __init__(self, cores: int) -> None:
        self._choices = sorted({1, cores}, reverse=True)
        self._seconds = {threads: deque[float](maxlen=_REMEMBERED) for threads in self._choices}
        self._runs = 0

    @property
    def is_light(self) -> bool:
        """Whether the model is known to be quick."""
        usual = self._seconds[self._best()]
        return bool(usual) and statistics.median(usual) <= _HEAVY

    def choose(self) -> int:
        """The number of threads for the next run."""
        best = self._best()
        if len(self._seconds[best]) == _REMEMBERED and self.is_light and self._runs % _RUNS_BETWEEN_TRIALS == 0:
            return next((threads for threads in self._choices if threads != best), best)
        return best

    def record(self, threads: int, seconds: float) -> None:
        """Records how long a run with so many threads took."""
        self._seconds[threads].append(seconds)
        self._runs += 1

    def _best(self) -> int:
        known = [threads for threads in self._choices if self._seconds[threads]]
        return min(known, key=lambda threads: statistics.median(self._seconds[threads]), default=self._choices[0])
