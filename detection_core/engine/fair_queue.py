"""The line in front of the device: fair between visitors by the time that their jobs take, first come first served otherwise."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
# So many visitors are remembered while they have no job in the queue; a forgotten one counts as new.
_REMEMBERED = 10_000


@dataclass(order=True)
class _Entry(Generic[_Item]):
    start: float
    number: int
    item: _Item = field(compare=False)


class FairQueue(Generic[_Item]):
    """Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): every visitor gets the same share of the device.

    Each job begins, in a clock that only moves as jobs are served, when the visitor's job before it ends, but not in the past; the job
    that begins first is next. So one image comes before the tenth of another visitor, a stream of frames takes turns with all others
    however fast it sends, and a heavy model's next job waits for as many light ones as take its time. Turns cannot be saved up.

    Not safe to use from several threads: its owner has a lock.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry[_Item]] = []
        self._ends: dict[str, float] = {}
        self._now = 0.0
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[_Item]:
        """All items, the next one first; items that are put in later may still come before them."""
        return (entry.item for entry in sorted(self._entries))

    def put(self, item: _Item, visitor: str, cost: float) -> None:
        """Adds a job.

        Args:
            item: The job.
            visitor: Whose it is; each job of "" counts as one of another visitor.
            cost: How long it is expected to take, in any unit that all jobs share.

        Raises:
            ValueError: If the cost is not above 0.
        """
        if not cost > 0:
            raise ValueError(f"a job must cost more than 0, got {cost}")
        start = self.begins(visitor)
        if visitor:
            self._ends.pop(visitor, None)
            self._ends[visitor] = start + cost
            while len(self._ends) > _REMEMBERED:
                self._ends.pop(next(iter(self._ends)))
        heapq.heappush(self._entries, _Entry(start, next(self._numbers), item))

    def begins(self, visitor: str) -> float:
        """When, in the clock of the line, a job would begin that the visitor adds now."""
        return max(self._now, self._ends.get(visitor, 0.0)) if visitor else self._now

    def leads(self, visitor: str) -> bool:
        """Whether a job that the visitor adds now would be the next one."""
        return not self._entries or self.begins(visitor) < self._entries[0].start

    def peek(self) -> _Item:
        """The next job, which stays.

        Raises:
            IndexError: If no item waits.
        """
        return self._entries[0].item

    def pop(self) -> _Item:
        """Takes out the next job.

        Raises:
            IndexError: If no item waits.
        """
        entry = heapq.heappop(self._entries)
        self._now = entry.start
        return entry.item

    def discard(self, is_cancelled: Callable[[_Item], bool]) -> bool:
        """Takes out jobs that were cancelled; what their visitors have asked for after them keeps its place.

        Returns:
            Whether there were any.
        """
        kept = [entry for entry in self._entries if not is_cancelled(entry.item)]
        if len(kept) == len(self._entries):
            return False
        self._entries = kept
        heapq.heapify(self._entries)
        return True
