"""What the server remembers of visitors: results, for the moment they want them drawn, and which request is their newest."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from detection_core.detections import Detections


@dataclass(frozen=True)
class KeptResult:
    """One picture's result.

    Attributes:
        image_path: The picture as it was given.
        detections: Everything down to the floor score.
    """

    image_path: Path
    detections: Detections


class Turns:
    """Which of a visitor's requests is the newest, so that an older one that takes longer cannot overwrite its result.

    Args:
        capacity: Of how many visitors to know; those not heard of for longest are forgotten.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._count = itertools.count()
        self._lock = threading.Lock()

    def begin(self, visitor: str) -> int:
        """Begins a turn, which ends all earlier ones of the visitor.

        Returns:
            The turn's number.
        """
        with self._lock:
            turn = next(self._count)
            self._latest[visitor] = turn
            self._latest.move_to_end(visitor)
            while len(self._latest) > self._capacity:
                self._latest.popitem(last=False)
            return turn

    def is_current(self, visitor: str, turn: int) -> bool:
        """Whether nothing newer has begun."""
        with self._lock:
            return self._latest.get(visitor) == turn


class ResultExpiredError(LookupError):
    """The result is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This result is no longer kept on the server. Press Detect and try again.")


class ResultStore:
    """Keeps the most recent results under names that nobody can guess: whoever knows the name may see the result.

    Args:
        capacity: How many results are kept, each of up to 0.4 MB; the least recently used goes first.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._results: OrderedDict[str, KeptResult] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, result: KeptResult) -> str:
        """Keeps a result.

        Returns:
            Its name.
        """
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._results[name] = result
            while len(self._results) > self._capacity:
                self._results.popitem(last=False)
        return name

    def get(self, name: str) -> KeptResult:
        """Finds a result by its name.

        Raises:
            ResultExpiredError: If there is none, or no longer.
        """
        with self._lock:
            if name not in self._results:
                raise ResultExpiredError
            self._results.move_to_end(name)
            return self._results[name]
