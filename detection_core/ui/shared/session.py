"""What the server remembers of visitors: results, for the moment they want them drawn, and which request is their newest."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar, get_args

import gradio as gr

from detection_core.detections import Detections
from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.formats import Provenance

_Kept = TypeVar("_Kept")
Place = Literal["detect", "compare", "batch", "live", "video", "api"]


def visitor_of(request: gr.Request, place: Place) -> str:
    """The name under which the engine knows a visitor's jobs from one place; what one gives up is not another's."""
    return f"{request.session_hash or ''}/{place}"


def cancel_all(engine: Engine, request: gr.Request) -> None:
    """Gives up everything that a visitor waits for."""
    places: tuple[Place, ...] = get_args(Place)
    for place in places:
        engine.cancel_visitor(visitor_of(request, place))


@dataclass(frozen=True)
class KeptResult:
    """One image's result.

    Attributes:
        image_path: The image as it was given.
        detections: Everything down to the floor score.
        provenance: Where it comes from.
    """

    image_path: Path
    detections: Detections
    provenance: Provenance | None = None


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


class ResultExpiredError(UserError):
    """The result is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This result is no longer kept on the server. Press the button beside the image and try again.")


class ResultStore(Generic[_Kept]):
    """Keeps the most recent results of one kind under names that nobody can guess: whoever knows the name may see the result.

    Args:
        capacity: How many results are kept, each of up to 0.4 MB for each model; the least recently used goes first.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._results: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, result: _Kept, name: str = "") -> str:
        """Keeps a result.

        Args:
            result: What is kept.
            name: Name of the earlier result that it takes the place of; "" for a new one.

        Returns:
            Its name.
        """
        name = name or secrets.token_urlsafe(16)
        with self._lock:
            self._results[name] = result
            self._results.move_to_end(name)
            while len(self._results) > self._capacity:
                self._results.popitem(last=False)
        return name

    def get(self, name: str) -> _Kept:
        """Finds a result by its name.

        Raises:
            ResultExpiredError: If there is none, or no longer.
        """
        with self._lock:
            if name not in self._results:
                raise ResultExpiredError
            self._results.move_to_end(name)
            return self._results[name]
