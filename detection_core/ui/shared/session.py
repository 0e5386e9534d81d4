"""Visitors: what the engine calls them, which of their requests is the newest, and the results kept for them."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import gradio as gr
from starlette.requests import Request

from detection_core.detections import Detections
from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.formats import Provenance

Place = Literal["detect", "compare", "batch", "live", "video", "evaluate", "api"]
_CALLED: Place = "api"


def visitor_of(request: gr.Request, place: Place) -> str:
    """The name of a visitor in the engine; it differs by place, so that cancelling jobs of one tab leaves those of the others alone."""
    return f"{request.session_hash or ''}/{place}"


def program_of(request: Request) -> str:
    """The name of a program in the engine: its address, because its requests have no session."""
    return f"{request.client.host if request.client else ''}/http"


def caller_of(request: gr.Request) -> str:
    """The name of a program that calls an endpoint of the page: its address, too.

    Each call may have a session of its own, and a new visitor comes before those who have just been served.
    """
    return f"{request.client.host if request.client else ''}/{_CALLED}"


def cancel_all(engine: Engine, request: gr.Request) -> None:
    """Cancels all jobs of a visitor of the page."""
    places: tuple[Place, ...] = get_args(Place)
    for place in places:
        # A session may be called like an address.
        if place != _CALLED:
            engine.cancel_visitor(visitor_of(request, place))


@dataclass(frozen=True)
class KeptResult:
    """One image's result.

    Attributes:
        image_path: The image as it was given.
        detections: All detections down to the model's minimum score.
        provenance: Where it comes from.
    """

    image_path: Path
    detections: Detections
    provenance: Provenance | None = None


class Turns:
    """Tracks which of a visitor's requests is the newest, so that an older one that takes longer cannot overwrite its result.

    Args:
        capacity: For how many visitors; the least recent are dropped.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._count = itertools.count()
        self._lock = threading.Lock()

    def begin(self, visitor: str) -> int:
        """Begins a turn, which ends all earlier turns of the visitor.

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
        """Whether the visitor has begun no newer turn."""
        with self._lock:
            return self._latest.get(visitor) == turn


class ResultExpiredError(UserError):
    """The result is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This result is no longer kept on the server. Press the button beside the image and try again.")
