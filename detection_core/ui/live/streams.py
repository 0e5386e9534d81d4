"""The live streams of all visitors: which ones are served, which ones wait, and what each keeps from frame to frame."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from detection_core.detections.tracking import Tracker
from detection_core.engine import Job
from detection_core.errors import UserError
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.visitor_store import VisitorStore, new_token

_MAX_WAITING = 88
# Waiting pages ask every two seconds.
_MAX_SILENCE = 12.0


class StreamEndedError(UserError):
    """The stream is unknown, or has ended; the message is for people."""

    def __init__(self) -> None:
        super().__init__("The stream has ended: the server has not heard from this page for a while, or you have started another stream.")


class TooManyStreamsError(UserError):
    """The queue is full; the message is for people."""

    def __init__(self) -> None:
        super().__init__("Too many people are waiting for the camera view already. Try again in a minute.")


@dataclass(eq=False)
class LiveFrame:
    """A frame in which objects are being detected.

    Attributes:
        time_s: When it was captured, in seconds by the browser's clock.
        threshold: Lowest score of objects that count.
        stable: Whether objects are tracked from frame to frame.
        tasks: What the visitor wants of the model's output, besides boxes; None for all of it.
        decode_s: How long decoding took, in seconds.
        job: Its job in the engine; None while the frame is decoded.
    """

    time_s: float
    threshold: float
    stable: bool
    tasks: frozenset[Task] | None = None
    decode_s: float = 0.0
    job: Job | None = None


@dataclass(eq=False)
class LiveStream:
    """One visitor's camera and the model that detects objects in its frames.

    Attributes:
        visitor: The visitor.
        spec: The model.
        heard_s: When the browser's latest request came.
        number: Streams with smaller numbers are before it in the queue.
        tracker: Gives objects their identities.
        token: Its name, which cannot be guessed.
        frames: Frames in which objects are being detected, by the browser's numbers.
        time_s: When the latest frame that the tracker has processed was captured.
        has_answered: Whether there has been a result.
        lock: Held while the tracker works.
    """

    visitor: str
    spec: ModelSpec
    heard_s: float
    number: int = 0
    tracker: Tracker = field(default_factory=Tracker)
    token: str = field(default_factory=new_token)
    frames: dict[int, LiveFrame] = field(default_factory=dict)
    time_s: float = -1.0
    has_answered: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """Cancels detection in its frames."""
        for frame in self.frames.values():
            if frame.job is not None:
                frame.job.cancel()
        self.frames.clear()


class LiveStreams(VisitorStore[LiveStream]):
    """All streams in a queue: the first ones are served, the others wait. Each visitor has at most one.

    A stream from which no request has come for some seconds ends, and makes room.

    Args:
        most: How many are served at a time.
        clock: Gives the time in seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(StreamEndedError, most + _MAX_WAITING, clock)
        self._most = most
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """How many there are, served or waiting."""
        with self._lock:
            self._remove_silent()
            return len(self._entries)

    def served(self) -> int:
        """How many are served now; the others wait."""
        return min(len(self), self._most)

    def begin(self, visitor: str, spec: ModelSpec) -> LiveStream:
        """Begins a stream, in place of the visitor's earlier one: with another model it keeps its place in the queue.

        Raises:
            TooManyStreamsError: If too many are waiting already.
        """
        with self._lock:
            self._remove_silent()
            former = [stream.number for stream in self._entries.values() if stream.visitor == visitor]
            if not former and len(self._entries) >= self._capacity:
                raise TooManyStreamsError
            self.leave(visitor)
            stream = LiveStream(visitor, spec, self._clock(), number=min(former, default=next(self._numbers)))
            self.put(stream, token=stream.token, visitor=visitor)
            return stream

    def get(self, token: object) -> LiveStream | None:
        """As in any store; the stream counts as heard from."""
        with self._lock:
            self._remove_silent()
            stream = super().get(token)
            if stream is not None:
                stream.heard_s = self._clock()
            return stream

    @contextmanager
    def awaiting(self, stream: LiveStream, frame: LiveFrame) -> Iterator[None]:
        """While a program waits for the objects of a frame its stream is not silent, however long that takes."""
        number = id(frame)
        stream.frames[number] = frame
        try:
            yield
        finally:
            stream.heard_s = self._clock()
            stream.frames.pop(number, None)

    def place(self, stream: LiveStream) -> int:
        """Its place in the queue, from 1; 0 if it is served."""
        with self._lock:
            before = [other for other in self._entries.values() if other.number < stream.number]
            return max(0, len(before) - self._most + 1)

    def _on_removed(self, entry: LiveStream, *, evicted: bool) -> None:
        entry.cancel()

    def _remove_silent(self) -> None:
        # A stream that waits for a slow model is not silent.
        latest = self._clock() - _MAX_SILENCE
        for stream in [each for each in self._entries.values() if each.heard_s < latest and not each.frames]:
            self.remove(stream.token)
