"""The engine that runs on a Ray cluster: images wait here in fair turns, and the detectors have as many as keep them busy."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from detection_core.engine.base import Call as FunctionCall
from detection_core.engine.base import EngineError, EngineStatus, Function, Job, JobState, Result, Stage
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.open_jobs import MAX_JOBS, MAX_JOBS_PER_VISITOR, OpenJobs
from detection_core.engine.ray.detectors import Detectors
from detection_core.engine.ray.link import ClusterLink
from detection_core.engine.ray.messages import Answer, Call, Cancel, ClusterState, FromDetector, Lost, Submit, Update
from detection_core.engine.ray.settings import DetectorSettings
from detection_core.engine.result_cache import KEPT_RESULTS, Request, ResultCache
from detection_core.engine.run_times import RunTimes
from detection_core.images.reading import LoadedImage
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec

# Why is in the log: addresses are not for visitors.
_UNREACHABLE = "The cluster that detects cannot be reached at present. It is tried every few seconds; so try again in a moment."

_Job = TypeVar("_Job", bound=Job)


@dataclass(eq=False)
class _WaitingJob:
    """A job in line since `since`."""

    job: Job
    request: Request
    since: float


@dataclass(eq=False)
class _Flight:
    """A job that is at a detector since `since`, and those that wait for the same result."""

    waiting: _WaitingJob
    since: float
    followers: list[_WaitingJob] = field(default_factory=list)


class RayEngine:
    """Detects on a cluster; see `Engine`.

    Images wait in one line, fair between visitors, as in `LocalEngine`. A detector gets no more of them than keep it busy, so that whoever
    comes later does not wait behind what is there already; images whose model loads do not count. If a detector dies, its images go to
    another one. If the cluster is gone, jobs fail with a sentence that says so, until it is back.

    Args:
        address: An address for `ray.init`, "auto" or "host:6379"; "" starts a cluster on this machine.
        detectors: The detectors to start, unless the cluster runs them already.
        kept_results: How many results are kept.

    Attributes:
        max_in_flight: How many images of a light model keep all detectors busy.

    Raises:
        RayMissingError: If Ray is not installed.
    """

    def __init__(self, address: str = "", detectors: DetectorSettings | None = None, *, kept_results: int = KEPT_RESULTS) -> None:
        self._jobs = OpenJobs()
        self._lock = self._jobs.lock
        # Held while images are taken out of the line and sent, so that they arrive in its order; before the other lock.
        self._sending = threading.RLock()
        self._queue: FairQueue[_WaitingJob] = FairQueue()
        self._flights: dict[int, _Flight] = {}
        self._numbers = itertools.count()
        self._kept = ResultCache(kept_results)
        self._seconds = RunTimes()
        self._detectors = Detectors()
        self.max_in_flight = self._detectors.max_in_flight
        self._link = ClusterLink(address, detectors or DetectorSettings(), self._receive)
        self._link.start()

    def submit(
        self,
        image: LoadedImage,
        spec: ModelSpec,
        *,
        visitor: str = "",
        measure: bool = False,
        keep: bool = True,
        tasks: Collection[Task] | None = None,
    ) -> Job:
        """Accepts an image for detection; returns at once. The arguments are those of `Engine.submit`.

        Raises:
            EngineBusyError: If too many images are waiting already.
            EngineError: If there is no cluster at present, or the engine has been closed.
        """
        return self._begin(Job(spec, visitor), Request.create(image, spec, measure=measure, keep=keep, tasks=tasks))

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> FunctionCall:
        """Accepts a function of a model and an image, which a detector calls; see `Engine.call`.

        Only the function's name travels, with its arguments if it is an object: detectors have the same program.

        Raises:
            EngineBusyError: If too many images are waiting already.
            EngineError: If there is no cluster at present, or the engine has been closed.
            TypeError: If the function has no name that a detector could import it by.
        """
        try:
            pickle.dumps(function)
        except (pickle.PicklingError, AttributeError) as error:
            raise TypeError(f"{function!r} cannot be sent to a detector; use a function or an object of a module") from error
        request = Request(image, spec, measure=False, keep=False, tasks=frozenset(spec.tasks), function=function)
        return self._begin(FunctionCall(spec, visitor), request)

    def cancel_visitor(self, visitor: str) -> None:
        """Cancels all jobs of a visitor who has gone."""
        self._jobs.cancel_visitor(visitor)

    def model_states(self) -> dict[str, str]:
        """Where each model is, as the detectors have said last: it is in memory if any of them has it there."""
        with self._lock:
            return self._detectors.model_states()

    def run_seconds(self, *, first: bool = False) -> dict[str, float]:
        """What an image takes on a detector; see `Engine.run_seconds`."""
        with self._lock:
            return self._seconds.medians(first=first)

    def jobs_of_others(self, visitor: str) -> int:
        """How many jobs of other visitors are in progress."""
        return self._jobs.count_others(visitor)

    def status(self) -> EngineStatus:
        """How much there is to do, and which models the detectors have in memory."""
        with self._lock:
            running = sum(flight.waiting.job.state.stage is Stage.RUN for flight in self._flights.values())
            return EngineStatus(len(self._jobs) - running, running, self._detectors.models)

    def close(self) -> None:
        """Cancels all jobs, and ends the connection to the cluster, or the cluster if this engine has started it."""
        self._jobs.close()
        self._link.close()

    def _begin(self, job: _Job, request: Request) -> _Job:
        if self._jobs.open(job, request, self._kept):
            job.future.add_done_callback(lambda _: self._remove(job))
            with self._lock:
                # The cluster may have been lost meanwhile.
                if job in self._jobs:
                    self._enqueue(_WaitingJob(job, request, time.perf_counter()))
            self._send_next()
        return job

    def _enqueue(self, waiting: _WaitingJob) -> None:
        self._queue.put(waiting, waiting.job.visitor, self._seconds.cost(waiting.request.spec.key))

    def _send_next(self) -> None:
        """Sends whoever is first in line, as long as the detectors are not busy; reports their place to the others."""
        answered: list[tuple[Job, Result]] = []
        with self._sending:
            for submit in self._take_next(answered):
                self._link.send(submit)
        for job, kept in answered:
            job.complete(kept)

    def _take_next(self, answered: list[tuple[Job, Result]]) -> list[Submit]:
        """Takes out of the line whoever a detector has room for, or whose result is kept: they are added to `answered`."""
        sent: list[Submit] = []
        with self._lock:
            while len(self._queue):
                request = self._queue.peek().request
                if kept := self._kept.find(request):
                    answered.append((self._queue.pop().job, kept))
                elif flight := self._flight_for(request):
                    flight.followers.append(self._queue.pop())
                elif self._busy() < self.max_in_flight and self._detectors.running:
                    # Until the detector says so itself, or that it loads the model first. It keeps one image more than it runs.
                    waits = self._busy() >= self.max_in_flight - self._detectors.running
                    number = next(self._numbers)
                    flight = self._flights[number] = _Flight(self._queue.pop(), time.perf_counter())
                    flight.waiting.job.update(JobState(Stage.QUEUE if waits else Stage.RUN))
                    call = Call(request.spec, request.tasks, request.measure, request.function)
                    sent.append(Submit(number, call, np.asarray(request.image.image)))
                else:
                    break
            at_detectors = sum(flight.waiting.job.state.stage is Stage.QUEUE for flight in self._flights.values())
            for position, waiting in enumerate(self._queue, at_detectors):
                waiting.job.update(JobState(Stage.QUEUE, position))
        return sent

    def _flight_for(self, request: Request) -> _Flight | None:
        """Returns the flight whose result will answer a request as well."""
        if request.measure or not request.keep:
            return None
        of_same = (flight for flight in self._flights.values() if flight.waiting.request.keep)
        return next((flight for flight in of_same if flight.waiting.request.key == request.key), None)

    def _busy(self) -> int:
        """How many images are in a network or next in line for it: others load models beside that."""
        return sum(flight.waiting.job.state.stage not in (Stage.DOWNLOAD, Stage.LOAD) for flight in self._flights.values())

    def _receive(self, message: Update | ClusterState | Lost) -> None:
        if isinstance(message, Lost):
            self._fail_all()
            return
        if isinstance(message, ClusterState):
            with self._lock:
                self._detectors.update(message)
                self.max_in_flight = self._detectors.max_in_flight
                self._jobs.refusal = ""
                self._jobs.most = MAX_JOBS * max(self._detectors.running, 1)
                self._jobs.most_per_visitor = max(MAX_JOBS_PER_VISITOR, self.max_in_flight)
        else:
            self._update(message.number, message.content)
        self._send_next()

    def _update(self, number: int, content: FromDetector) -> None:
        with self._lock:
            flight = self._flights.get(number)
            if flight is None:  # It was cancelled meanwhile.
                return
            if isinstance(content, JobState):
                for waiting in (flight.waiting, *flight.followers):
                    waiting.job.update(content)
                return
            del self._flights[number]
            outcome = self._finish(flight, content) if isinstance(content, Answer) else content
            # With the result kept they are answered; after an error the first of them tries by itself.
            for follower in flight.followers:
                if follower.job in self._jobs:
                    self._enqueue(follower)
        flight.waiting.job.complete(outcome)

    def _finish(self, flight: _Flight, answer: Answer) -> Any:
        """Keeps a result and remembers what it took; returns it as the job's. What a function has returned is the call's, as it is."""
        self._detectors.add(answer.report)
        request = flight.waiting.request
        if request.function is not None:
            return answer.result
        result = replace(answer.result, spec=request.spec)
        self._seconds.record(request.spec.key, result.timings.network + result.timings.post, first=result.first_run)
        self._kept.add(request, result)
        wait = flight.since - flight.waiting.since + result.timings.wait
        return replace(result, timings=replace(result.timings, wait=wait))

    def _fail_all(self) -> None:
        """Fails all jobs: the cluster is gone."""
        with self._lock:
            self._jobs.refusal = _UNREACHABLE
            self._detectors = Detectors()
            self._flights.clear()
            jobs = list(self._jobs)
        for job in jobs:
            job.complete(EngineError(_UNREACHABLE))

    def _remove(self, job: Job) -> None:
        """Forgets a job that is done or cancelled; a detector goes on with it only if another job waits for the same result."""
        cancelled = []
        with self._lock:
            self._jobs.remove(job)
            self._queue.discard(lambda waiting: waiting.job is job)
            for number, flight in list(self._flights.items()):
                flight.followers = [follower for follower in flight.followers if follower.job is not job]
                if flight.waiting.job.future.done() and not flight.followers:
                    del self._flights[number]
                    cancelled.append(number)
        for number in cancelled:
            self._link.send(Cancel(number))
        self._send_next()
