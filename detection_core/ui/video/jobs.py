"""Long jobs in threads of their own: a few run at a time, the others wait in line, and each visitor has at most one."""

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
    """Too many wait already; the message is for people."""

    def __init__(self) -> None:
        super().__init__("Too many videos are waiting already. Try again in a few minutes.")


@dataclass(frozen=True)
class VideoJobState:
    """How far a job is.

    Attributes:
        stage: What has become of it.
        ahead: How many are before it while it waits.
        status: What it waits for before the first frame, such as the model's download.
        progress: How far it is in the video.
        error: Why it failed.
    """

    stage: Literal["waiting", "running", "done", "failed", "cancelled"] = "waiting"
    ahead: int = 0
    status: ViewStatus | None = None
    progress: VideoProgress | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.stage in ("done", "failed", "cancelled")


@dataclass(eq=False)
class VideoJob:
    """One visitor's job; all methods may be called from any thread.

    Attributes:
        visitor: Whose it is.
        work: What is to be done, in a thread of the job's own; it looks at `cancelled` now and then.
        state: How far it is.
    """

    visitor: str
    work: Callable[[VideoJob], None]
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    state: VideoJobState = field(default_factory=VideoJobState)
    _given_up: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def cancelled(self) -> bool:
        """Whether it was given up; work that finds this ends soon."""
        return self._given_up.is_set()

    def tell(self, status: ViewStatus | None = None, progress: VideoProgress | None = None) -> None:
        """Says what it is doing; for the work."""
        self.state = replace(self.state, status=status, progress=progress or self.state.progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is over.

        Returns:
            Whether it is.
        """
        return self._over.wait(timeout)


class VideoJobs:
    """The line of jobs.

    Args:
        max_running: How many run at a time. They share one engine: more would finish no earlier together.
        max_waiting: How many may wait.
    """

    def __init__(self, max_running: int = 1, max_waiting: int = _MAX_WAITING) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._waiting: list[VideoJob] = []
        self._running: list[VideoJob] = []
        self._lock = threading.RLock()

    def submit(self, visitor: str, work: Callable[[VideoJob], None]) -> VideoJob:
        """Puts a job at the end of the line; the visitor's earlier one is given up.

        Raises:
            JobsFullError: If too many wait already.
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
        """Gives a job up: one that waits is over at once, one that runs ends soon."""
        job._given_up.set()
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                _settle(job, VideoJobState("cancelled"))
                self._advance()

    def leave(self, visitor: str) -> None:
        """Gives up the jobs of a visitor who has gone."""
        with self._lock:
            for job in [job for job in (*self._waiting, *self._running) if job.visitor == visitor]:
                self.cancel(job)

    def _advance(self) -> None:
        while self._waiting and len(self._running) < self._max_running:
            job = self._waiting.pop(0)
            self._running.append(job)
            job.state = VideoJobState("running")
            # A thread that is no daemon would keep the process from ending until the video is finished.
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
        _settle(job, outcome)


def _readable(error: Exception) -> UserError:
    """What went wrong in words for people; the log has the rest."""
    if isinstance(error, UserError):
        return error
    logger.error("Work on a video failed", exc_info=error)
    if isinstance(error, OSError):
        return UserError(f"The server cannot write its files: {error.strerror}.")
    return UserError("Something unexpected went wrong. Try again; the server's log has the details.")


def _settle(job: VideoJob, outcome: VideoJobState) -> None:
    job.state = outcome
    job._over.set()
