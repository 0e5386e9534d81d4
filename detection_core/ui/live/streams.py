"""The live streams of all visitors: who is served, who waits for a place, and what each remembers from frame to frame."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from detection_core.detections.tracking import Tracker
from detection_core.engine import Job
from detection_core.errors import UserError
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec

# More at a time would each get less than one frame a second of a light model on two cores.
_MAX_SERVED = 12
_MAX_WAITING = 88
# Waiting pages ask every two seconds.
_MAX_SILENCE = 12.0


class StreamEndedError(UserError):
    """The stream is not known, or no longer; the message is for people."""

    def __init__(self) -> None:
        super().__init__("The stream has ended: nothing was heard of this page for a while, or you have started another one.")


class TooManyStreamsError(UserError):
    """There is not even a place to wait; the message is for people."""

    def __init__(self) -> None:
        super().__init__("Too many people are waiting for the camera view already. Try again in a minute.")


@dataclass(eq=False)
class LiveFrame:
    """A frame that is being looked at.

    Attributes:
        time_s: When it was taken, in seconds by the browser's clock.
        threshold: From which score on an object counts.
        stable: Whether objects are followed from frame to frame.
        tasks: What is looked at of what the model gives, besides boxes; None for all.
        decode_s: How long decoding took, in seconds.
        job: Its way through the engine; None while it is decoded.
    """

    time_s: float
    threshold: float
    stable: bool
    tasks: frozenset[Task] | None = None
    decode_s: float = 0.0
    job: Job | None = None


@dataclass(eq=False)
class LiveStream:
    """One visitor's camera and the model that looks through it.

    Attributes:
        visitor: Whose it is.
        spec: The model.
        token: Its name, which nobody can guess.
        tracker: Who is who.
        frames: What is being looked at, by the browser's numbers.
        heard_s: When the browser was last heard of.
        time_s: When the latest frame that the tracker has seen was taken.
        has_answered: Whether the model has looked at a frame.
        lock: Held while the tracker works.
    """

    visitor: str
    spec: ModelSpec
    heard_s: float
    tracker: Tracker = field(default_factory=Tracker)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    frames: dict[int, LiveFrame] = field(default_factory=dict)
    time_s: float = -1.0
    has_answered: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def give_up(self) -> None:
        """Ends what is being looked at."""
        for frame in self.frames.values():
            if frame.job is not None:
                frame.job.cancel()
        self.frames.clear()


class LiveStreams:
    """All streams, in the order in which they began: the first are served, the others wait. One a visitor.

    A stream of which nothing is heard for some seconds is over, and makes room.

    Args:
        most: How many are served at a time.
        clock: Tells the time in seconds.
    """

    def __init__(self, most: int = _MAX_SERVED, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._streams: OrderedDict[str, LiveStream] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """How many there are, served or waiting."""
        with self._lock:
            self._forget_the_silent()
            return len(self._streams)

    def begin(self, visitor: str, spec: ModelSpec) -> LiveStream:
        """A new stream in place of the visitor's other; at its place in the line, when only the model is another.

        Raises:
            TooManyStreamsError: If too many wait already.
        """
        with self._lock:
            self._forget_the_silent()
            others = [stream for stream in self._streams.values() if stream.visitor == visitor]
            if not others and len(self._streams) >= self._most + _MAX_WAITING:
                raise TooManyStreamsError
            new = LiveStream(visitor, spec, self._clock())
            for other in others:
                other.give_up()
            replaced = {stream.token for stream in others}
            listed = [new if stream.token in replaced else stream for stream in self._streams.values()]
            self._streams = OrderedDict((stream.token, stream) for stream in [*listed, new])
            return new

    def find(self, token: str) -> LiveStream:
        """Finds a stream by its name, which has been heard of again.

        Raises:
            StreamEndedError: If there is none, or no longer.
        """
        with self._lock:
            self._forget_the_silent()
            if token not in self._streams:
                raise StreamEndedError
            stream = self._streams[token]
            stream.heard_s = self._clock()
            return stream

    def place(self, stream: LiveStream) -> int:
        """Its place in the line, from 1; 0 if it is served."""
        with self._lock:
            before = list(self._streams).index(stream.token) if stream.token in self._streams else len(self._streams)
            return max(0, before - self._most + 1)

    def end(self, token: str) -> None:
        """Ends a stream; one that is not known is ignored."""
        with self._lock:
            stream = self._streams.pop(token, None)
        if stream is not None:
            stream.give_up()

    def leave(self, visitor: str) -> None:
        """Ends the stream of a visitor who has gone."""
        with self._lock:
            theirs = [stream.token for stream in self._streams.values() if stream.visitor == visitor]
        for token in theirs:
            self.end(token)

    def _forget_the_silent(self) -> None:
        # Whoever waits for a slow model is not silent.
        latest = self._clock() - _MAX_SILENCE
        for stream in [one for one in self._streams.values() if one.heard_s < latest and not one.frames]:
            self.end(stream.token)
