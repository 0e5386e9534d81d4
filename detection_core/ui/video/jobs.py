"""Long jobs in threads of their own: a few run at a time, the others wait in a queue, and each visitor has at most one."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Literal

from detection_core.errors import UserError
from detection_core.ui.components.messages import ViewStatus
from detection_core.video import VideoProgress

logger = logging.getLogger(__name__)

_MAX_WAITING = 32


class JobsFullError(UserError):
    """Too many jobs are waiting already; the message tells the user to try again later."""

    def __init__(self) -> None:
        super().__init__("Too many videos are waiting already. Try again in a few minutes.")


@dataclass(frozen=True)
class VideoJobState:
    """The state of a job.

    Attributes:
        stage: Where it is in its life.
        ahead: How many jobs are before it in the queue.
        status: What it waits for before the first frame, such as the model's download.
        progress: Its progress in the video.
        error: Why it failed.
    """

    stage: Literal["waiting", "running", "done", "failed", "cancelled"] = "waiting"
    ahead: int = 0
    status: ViewStatus | None = None
    progress: VideoProgress | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.stage in ("done", "failed", "cancelled")


@dataclass(eq=False)
class VideoJob:
    """One visitor's job; all methods may be called from any thread.

    Attributes:
        visitor: The visitor who waits for it.
        work: Runs in a thread of its own; it has to check `cancelled` from time to time.
        state: Its state.
    """

    visitor: str
    work: Callable[[VideoJob], None]
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    state: VideoJobState = field(default_factory=VideoJobState)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def cancelled(self) -> bool:
        """Whether it has been cancelled; its work should end soon."""
        return self._cancelled.is_set()

    def report(self, status: ViewStatus | None = None, progress: VideoProgress | None = None) -> None:
        """Sets what it is doing; called by the work."""
        self.state = replace(self.state, status=status, progress=progress or self.state.progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it has ended.

        Returns:
            Whether it has.
        """
        return self._ended.wait(timeout)


class VideoJobs:
    """The queue of jobs.

    Args:
        max_running: How many run at a time. They share one engine, so running more would not finish them earlier.
        max_waiting: How many may be waiting.
    """

    def __init__(self, max_running: int = 1, max_waiting: int = _MAX_WAITING) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._waiting: list[VideoJob] = []
        self._running: list[VideoJob] = []
        self._lock = threading.RLock()

    def submit(self, visitor: str, work: Callable[[VideoJob], None]) -> VideoJob:
        """Puts a job at the end of the queue; the visitor's earlier job is cancelled.

        Raises:
            JobsFullError: If too many are waiting already.
        """
        job = VideoJob(visitor, work)
        with self._lock:
            self.leave(visitor)
            if len(self._waiting) >= self._max_waiting:
                raise JobsFullError
            self._waiting.append(job)
            self._advance()
        return job

    def cancel(self, job: VideoJob) -> None:
        """Cancels a job: a waiting one ends at once, a running one soon."""
        job._cancelled.set()
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                _finish(job, VideoJobState("cancelled"))
                self._advance()

    def leave(self, visitor: str) -> None:
        """Cancels the jobs of a visitor who has gone."""
        with self._lock:
            for job in [job for job in (*self._waiting, *self._running) if job.visitor == visitor]:
                self.cancel(job)

    def _advance(self) -> None:
        while self._waiting and len(self._running) < self._max_running:
            job = self._waiting.pop(0)
            self._running.append(job)
            job.state = VideoJobState("running")
            # Without `daemon`, the process could not end before the video is finished.
            threading.Thread(target=self._run, args=[job], name="video", daemon=True).start()
        for ahead, job in enumerate(self._waiting, len(self._running)):
            job.state = replace(job.state, ahead=ahead)

    def _run(self, job: VideoJob) -> None:
        outcome: VideoJobState
        try:
            job.work(job)
            outcome = replace(job.state, stage="done", status=None)
        except CancelledError:
            outcome = VideoJobState("cancelled")
        except Exception as error:
            outcome = VideoJobState("failed", error=_readable(error))
        with self._lock:
            self._running.remove(job)
            self._advance()
        _finish(job, outcome)


def _readable(error: Exception) -> Exception:
    """The error in words for people; the log has the details."""
    if isinstance(error, UserError):
        return error
    logger.error("Work on a video failed", exc_info=error)
    if isinstance(error, OSError):
        return UserError(f"The server cannot write its files: {error.strerror}.")
    return UserError("Something unexpected went wrong. Try again; the server's log has the details.")


def _finish(job: VideoJob, outcome: VideoJobState) -> None:
    job.state = outcome
    job._ended.set()
