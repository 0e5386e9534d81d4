"""The jobs that an engine has accepted and not finished: how many may wait, and which are a visitor's."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from detection_core.engine.base import EngineBusyError, EngineError, Job, VisitorBusyError
from detection_core.engine.result_cache import Request, ResultCache

MAX_JOBS = 64
MAX_JOBS_PER_VISITOR = 8


class OpenJobs:
    """The open jobs of an engine, with what they ask for.

    Args:
        most: How many may be open at a time, each with an image that is decoded in memory.
        most_per_visitor: How many of them may be one visitor's.

    Attributes:
        lock: The engine's lock. `open`, `count_others` and `cancel_visitor` take it; callers of everything else hold it.
        most: As the argument; an engine may change it.
        most_per_visitor: As the argument; an engine may change it.
        refusal: Why no job is accepted at present, in a sentence; "" if jobs are.
        closed: Whether no job will be accepted any more.
    """

    def __init__(self, most: int = MAX_JOBS, most_per_visitor: int = MAX_JOBS_PER_VISITOR) -> None:
        self.lock = threading.Lock()
        self.most = most
        self.most_per_visitor = most_per_visitor
        self.refusal = ""
        self.closed = False
        self._requests: dict[Job, Request] = {}

    def __contains__(self, job: Job) -> bool:
        return job in self._requests

    def __iter__(self) -> Iterator[Job]:
        return iter(self._requests)

    def __len__(self) -> int:
        return len(self._requests)

    def open(self, job: Job, request: Request, kept: ResultCache) -> bool:
        """Accepts a job, or completes it if its result is kept.

        Returns:
            Whether the job is open now.

        Raises:
            VisitorBusyError: If too many images of the visitor are waiting already.
            EngineBusyError: If too many images are waiting already.
            EngineError: If no job is accepted at present.
        """
        with self.lock:
            result = kept.find(request)
            if result is None:
                self._check(job)
                self._requests[job] = request
        if result is not None:
            job.complete(result)
        return result is None

    def request(self, job: Job) -> Request | None:
        """Returns what an open job asks for, or None if it is not open any more."""
        return self._requests.get(job)

    def remove(self, job: Job) -> None:
        """Forgets a job that is done or cancelled."""
        self._requests.pop(job, None)

    def count_others(self, visitor: str) -> int:
        """Returns how many jobs of other visitors are open."""
        with self.lock:
            return sum(job.visitor != visitor for job in self._requests)

    def cancel_visitor(self, visitor: str) -> None:
        """Cancels all jobs of a visitor."""
        with self.lock:
            jobs = [job for job in self._requests if job.visitor == visitor]
        for job in jobs:
            job.cancel()

    def close(self) -> None:
        """Cancels all jobs and accepts none any more."""
        with self.lock:
            self.closed = True
            jobs = list(self._requests)
        for job in jobs:
            job.cancel()

    def _check(self, job: Job) -> None:
        if self.closed:
            raise EngineError("The server is shutting down. Try again in a moment.")
        if self.refusal:
            raise EngineError(self.refusal)
        of_visitor = sum(other.visitor == job.visitor for other in self._requests) if job.visitor else 0
        if of_visitor >= self.most_per_visitor:
            raise VisitorBusyError("Too many of your images are waiting already. Try again when you have a result.")
        if len(self._requests) >= self.most:
            raise EngineBusyError("Too many images are waiting already. Try again in a moment.")
