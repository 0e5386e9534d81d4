"""Progress and result of processing a video."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Long enough to be steady, short enough to notice that the machine has become busy.
_WINDOW_S = 5.0


@dataclass(frozen=True)
class VideoProgress:
    """Progress of processing a video.

    Attributes:
        frames_done: Frames that are finished.
        frames_total: Estimated number of all frames, from the video's header; never less than `frames_done`.
        fps: Frames finished per second of work, over the last seconds; 0 before the first.
        seconds_left: Estimated seconds for the remaining frames, or None before the first is finished.
    """

    frames_done: int
    frames_total: int
    fps: float
    seconds_left: float | None


@dataclass(frozen=True)
class VideoResult:
    """Result of processing a video.

    Attributes:
        frames: Number of finished frames.
        complete: Whether the whole video was processed.
        seconds: Duration of the processed part of the video.
        out: The annotated video, or None if none was requested or there was no frame.
        notes: Sentences for the user about what was changed or left out.
    """

    frames: int
    complete: bool
    seconds: float
    out: Path | None
    notes: tuple[str, ...]


class Pace:
    """Counts finished frames and reports the progress after each."""

    def __init__(self, frames_total: int, on_progress: Callable[[VideoProgress], None]) -> None:
        self._total = frames_total
        self._on_progress = on_progress
        self._ends = deque([time.monotonic()])
        self.done = 0

    def add(self) -> None:
        """Counts one more finished frame."""
        self.done += 1
        now = time.monotonic()
        self._ends.append(now)
        while len(self._ends) > 2 and self._ends[0] < now - _WINDOW_S:
            self._ends.popleft()
        fps = (len(self._ends) - 1) / max(now - self._ends[0], 1e-6)
        total = max(self._total, self.done)
        self._on_progress(VideoProgress(self.done, total, fps, (total - self.done) / fps))
