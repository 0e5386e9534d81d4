"""The engine that runs in this process: images pass through the device in fair turns, beside models that load."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from detection_core.engine.base import (
    Call,
    EngineBusyError,
    EngineError,
    EngineStatus,
    Function,
    Job,
    JobState,
    Result,
    Stage,
    VisitorBusyError,
)
from detection_core.engine.cores import CoreAllocation, Cores
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.peak_memory import peak_memory
from detection_core.engine.result_cache import KEPT_RESULTS, Request, ResultCache
from detection_core.engine.run_times import RunTimes
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import list_specs
from detection_core.models.detector import run
from detection_core.models.device import is_lack_of_memory
from detection_core.models.families import Task
from detection_core.models.loader import LoadOutcome, ModelLoader, size_in_memory
from detection_core.models.optimized import sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec

logger = logging.getLogger(__name__)

_MAX_JOBS = 64
_MAX_JOBS_PER_VISITOR = 8
# On an H100 an image takes a third to two thirds of the time in a pass of eight; hardly less in a larger one.
_GPU_BATCH = 8


@dataclass(frozen=True)
class _Returned:
    """What the function of a call has returned."""

    value: Any


_Outcome = Result | _Returned | Exception


@dataclass(frozen=True, eq=False)
class _QueuedJob:
    """A job whose model is loaded: it waits for the device since `queued`."""

    job: Job
    request: Request
    module: nn.Module
    load_time: float
    queued: float


class LocalEngine:
    """Detects in this process.

    Images wait in one line, fair between visitors by the time that their images take, see `FairQueue`. Whose turn it is gets cores as
    soon as there are enough, see `Cores`; nobody overtakes meanwhile, so that light models never starve a heavy one. Models load beside
    that, see `ModelLoader`, so that nobody waits for the download of a model that they have not asked for. A model runs once per image:
    results are kept, by the image's content, for whoever asks again.

    Args:
        device: Where models run, as torch names it.
        loader: Keeps models in memory; None makes one.
        kept_results: How many results are kept.
        max_jobs: How many images may wait at a time, each of them decoded in memory.
        max_jobs_per_visitor: How many of them may be one visitor's.
        cores: Among how many images the device may be shared; None: a CPU's cores as torch counts them, and one for anything else.
        batch: How many images of one size, next to each other in line, a model may take in one pass; None: several on a GPU, which is
            hardly busy with one, and one on a CPU, where it gains nothing.

    Attributes:
        max_in_flight: How many images of a light model keep it busy.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        loader: ModelLoader | None = None,
        kept_results: int = KEPT_RESULTS,
        max_jobs: int = _MAX_JOBS,
        max_jobs_per_visitor: int = _MAX_JOBS_PER_VISITOR,
        cores: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.loader = loader or ModelLoader(device=device)
        on_cpu = self.device.type == "cpu"
        self._cores = Cores(cores or (torch.get_num_threads() if on_cpu else 1))
        self._batch = batch or (_GPU_BATCH if self.device.type == "cuda" else 1)
        self.max_in_flight = self._cores.count * self._batch + 1
        self._runs = ThreadPoolExecutor(self._cores.count, thread_name_prefix="run")
        self._lock = threading.Lock()
        self._closed = False
        self._jobs: dict[Job, Request] = {}
        self._queue: FairQueue[_QueuedJob] = FairQueue()
        self._running: set[_QueuedJob] = set()
        self._kept = ResultCache(kept_results)
        self._max_jobs = max_jobs
        self._max_jobs_per_visitor = max_jobs_per_visitor
        self._networks_run: WeakSet[nn.Module] = WeakSet()
        self._seconds = RunTimes()
        self._costs = RunTimes()

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
        """Accepts an image for detection; returns at once.

        Args:
            image: The image.
            spec: The model.
            visitor: Whoever waits, so that the jobs of one who leaves can be cancelled; "" for nobody in particular.
            measure: Whether the model is to run even if its result is kept, and its memory to be watched.
            keep: Whether the result is kept for whoever asks again, and may be one that is kept already.
            tasks: What is wanted of what the model gives; None for all. Boxes are always given. Masks and keypoints that nobody looks at
                need not be computed; who wants them later asks again, and the model runs again.

        Raises:
            EngineBusyError: If too many images are waiting already.
            EngineError: If the engine has been closed.
        """
        request = Request.create(image, spec, measure=measure, keep=keep, tasks=tasks)
        job = Job(spec, visitor)
        with self._lock:
            kept = self._kept.find(request)
            if kept is None:
                self._admit(job, request)
        if kept is not None:
            job.future.set_result(kept)
            return job
        self._load(job)
        return job

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Call:
        """Accepts a function of a model and an image; see `Engine.call`.

        Raises:
            EngineBusyError: If too many images are waiting already.
            EngineError: If the engine has been closed.
        """
        call = Call(spec, visitor)
        with self._lock:
            self._admit(call, Request(image, spec, measure=False, keep=False, tasks=frozenset(spec.tasks), function=function))
        self._load(call)
        return call

    def cancel_visitor(self, visitor: str) -> None:
        """Cancels all jobs of a visitor who has gone."""
        with self._lock:
            jobs = [job for job in self._jobs if job.visitor == visitor]
        for job in jobs:
            job.cancel()

    def model_states(self) -> dict[str, str]:
        """Where each model is, in every precision that the device has: "in memory", "on disk", "to download" or "not on this machine"."""
        precisions = [p for p in Precision if p is not Precision.FAST or sixteen_bits(self.device)]
        variants = [spec.in_precision(precision) for spec in list_specs() for precision in precisions]
        return {variant.key: self.loader.state(variant) for variant in variants}

    def run_seconds(self, *, first: bool = False) -> dict[str, float]:
        """What an image takes here; see `Engine.run_seconds`."""
        with self._lock:
            return self._seconds.medians(first=first)

    def jobs_of_others(self, visitor: str) -> int:
        """How many jobs of other visitors are in progress."""
        with self._lock:
            return sum(job.visitor != visitor for job in self._jobs)

    def status(self) -> EngineStatus:
        """How much there is to do, and which models are in memory."""
        with self._lock:
            running = len(self._running)
            waiting = len(self._jobs) - sum(queued.job in self._jobs for queued in self._running)
        return EngineStatus(waiting, running, tuple(self.loader.resident()))

    def close(self) -> None:
        """Cancels all jobs and ends the engine's threads."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        self._runs.shutdown()

    def _admit(self, job: Job, request: Request) -> None:
        if self._closed:
            raise EngineError("The server is shutting down. Try again in a moment.")
        of_visitor = sum(other.visitor == job.visitor for other in self._jobs) if job.visitor else 0
        if of_visitor >= self._max_jobs_per_visitor:
            raise VisitorBusyError("Too many of your images are waiting already. Try again when you have a result.")
        if len(self._jobs) >= self._max_jobs:
            raise EngineBusyError("Too many images are waiting already. Try again in a moment.")
        self._jobs[job] = request

    def _load(self, job: Job) -> None:
        """Has an accepted job's model loaded, after which it goes into the line."""
        spec, started = job.spec, time.perf_counter()
        job.future.add_done_callback(lambda _: self._remove(job))
        try:
            module = self.loader.request(
                spec,
                on_progress=lambda progress: job.update(JobState(Stage(progress.stage), progress.done, progress.total)),
                on_done=lambda outcome: self._finish_load(job, outcome, time.perf_counter() - started),
                cancelled=lambda: job.cancelled,
            )
        except Exception as error:
            # Such as a thread for loading that the system refuses to start.
            job.cancel()
            if isinstance(error, UserError):
                raise
            raise _readable(error, spec) from error
        if module is not None:
            self._enqueue(job, module, 0.0)

    def _finish_load(self, job: Job, outcome: LoadOutcome, load_time: float) -> None:
        if isinstance(outcome, nn.Module):
            self._enqueue(job, outcome, load_time)
        elif not job.cancelled:
            job.complete(_readable(outcome, job.spec))

    def _enqueue(self, job: Job, module: nn.Module, load_time: float) -> None:
        with self._lock:
            request = self._jobs.get(job)
            if request is None:
                return
            # The module goes along: it could be let go before its turn comes, and the device must not wait for a load.
            self._queue.put(_QueuedJob(job, request, module, load_time, time.perf_counter()), job.visitor, self._costs.cost(job.spec.key))
        self._start_runs()

    def _start_runs(self) -> None:
        """Starts whoever is first in line, as long as there are cores for them."""
        answered = []
        with self._lock:
            for batch, outcome in self._next_batches():
                if isinstance(outcome, CoreAllocation):
                    self._runs.submit(self._run, batch, outcome)
                else:
                    answered.append((batch[0].job, outcome))
        for job, kept in answered:
            job.complete(kept)
        self._report_positions()

    def _next_batches(self) -> Iterator[tuple[list[_QueuedJob], CoreAllocation | Result]]:
        """Takes out of the line who can be served now, with their cores or with a result that is kept."""
        while len(self._queue) and not self._closed:
            request = self._queue.peek().request
            kept = self._kept.find(request)
            if kept is not None:
                yield [self._queue.pop()], kept
                continue
            # The result of what is running just now serves whoever asks for the same.
            if request.keep and any(running.request.key == request.key for running in self._running):
                return
            allocation = self._cores.acquire(request.spec.key, others_wait=len(self._queue) > 1, undisturbed=request.measure)
            if allocation is None:
                return
            batch = [self._queue.pop()]
            while len(batch) < self._batch and len(self._queue) and self._fits_batch(self._queue.peek(), batch):
                batch.append(self._queue.pop())
            self._running.update(batch)
            yield batch, allocation

    def _fits_batch(self, queued: _QueuedJob, batch: list[_QueuedJob]) -> bool:
        """Whether the next in line may share a pass: only images of one size, because a smaller one would be padded and change."""
        first, request = batch[0], queued.request
        size, tasks = first.request.image.image.size, first.request.tasks
        if request.function is not None or first.request.function is not None:
            return False
        alike = queued.module is first.module and request.image.image.size == size and request.tasks == tasks
        again = request.keep and any(request.key == other.request.key for other in batch)
        return alike and not again and not (request.measure or first.request.measure) and self._kept.find(request) is None

    def _run(self, batch: list[_QueuedJob], allocation: CoreAllocation) -> None:
        started = time.perf_counter()
        for queued in batch:
            queued.job.update(JobState(Stage.RUN))
        with self._lock:
            # The sizes of a model share all but the transform.
            network = getattr(batch[0].module, "backbone", batch[0].module)
            first_run = network not in self._networks_run
            self._networks_run.add(network)
        # Only of this thread.
        if self._cores.count > 1:
            torch.set_num_threads(allocation.threads)
        outcomes = self._run_model(batch, first_run)
        if len(batch) == 1 and _ran_out_of_memory(outcomes[0]) and self.loader.make_room(batch[0].request.spec.key):
            outcomes = self._run_model(batch, first_run)
        passes = 1
        if len(batch) > 1 and isinstance(outcomes[0], Exception):
            # Together they may have been too much, or one of them has spoilt it for all.
            outcomes = [self._run_model([queued], first_run)[0] for queued in batch]
            passes = len(batch)
        # Of images that shared a pass each has the time of the whole.
        durations = [outcome.timings.network + outcome.timings.post for outcome in outcomes if isinstance(outcome, Result)]
        seconds = sum(durations) * passes / len(batch)
        with self._lock:
            self._running.difference_update(batch)
            is_typical = not first_run and len(durations) == len(batch)
            self._cores.release(allocation, seconds if is_typical else None)
            for queued, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Result):
                    self._record(queued.request, outcome, seconds * allocation.cores / self._cores.count / len(batch))
        self._start_runs()
        for queued, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Result):
                timings = replace(outcome.timings, load=queued.load_time, wait=started - queued.queued)
                outcome = replace(outcome, timings=timings)
            queued.job.complete(outcome.value if isinstance(outcome, _Returned) else outcome)

    def _run_model(self, batch: list[_QueuedJob], first_run: bool) -> Sequence[_Outcome]:
        """Runs the model once on some images, or the function of a call."""
        request, module = batch[0].request, batch[0].module
        try:
            if request.function is not None:
                return [_Returned(request.function(module, request.spec, np.asarray(request.image.image)))]
            with peak_memory(self.device) if request.measure else nullcontext(_unknown) as peak:
                images = [np.asarray(queued.request.image.image) for queued in batch]
                found, timings = run(module, request.spec, images, self.device, tasks=request.tasks)
                run_memory = peak()
        except BaseException as error:
            # Of any kind: whatever ends a run, its cores must be released and whoever waits must hear of it.
            return [_readable(error, request.spec)] * len(batch)
        memory = None if run_memory is None else run_memory + size_in_memory(module)
        return [Result(detections, timings, request.spec, first_run, memory=memory) for detections in found]

    def _record(self, request: Request, result: Result, cost: float) -> None:
        """Keeps a result, and remembers what it cost: seconds, and its share of all the device's time."""
        self._seconds.record(request.spec.key, result.timings.network + result.timings.post, first=result.first_run)
        if not result.first_run:
            self._costs.record(request.spec.key, cost)
        self._kept.add(request, result)

    def _report_positions(self) -> None:
        # Within the lock: a job that starts to run meanwhile must not be reported as queued afterwards.
        with self._lock:
            for position, queued in enumerate(self._queue):
                queued.job.update(JobState(Stage.QUEUE, position))

    def _remove(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job, None)
            was_queued = self._queue.discard(lambda queued: queued.job is job)
        # It may have been first in line, and waited for more cores than the next one needs.
        if was_queued:
            self._start_runs()


def _unknown() -> None:
    """The memory of a run that is not measured."""


def _readable(error: BaseException, spec: ModelSpec) -> Exception:
    """What went wrong in words for people, with the error as its cause; the log has the rest."""
    if isinstance(error, UserError):
        return error
    if is_lack_of_memory(error):
        message = "The device has too little memory for this image with this model. Try a smaller image or a lighter model."
    else:
        logger.error("Detection with %s failed", spec.key, exc_info=error)
        message = f"Detection with {spec.title} failed unexpectedly. Try another model; the server's log has the details."
    readable = EngineError(message)
    readable.__cause__ = error
    return readable


def _ran_out_of_memory(outcome: _Outcome) -> bool:
    return isinstance(outcome, Exception) and outcome.__cause__ is not None and is_lack_of_memory(outcome.__cause__)
