"""The engine that runs in this process: models load side by side, pictures pass through the device one at a time."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import OrderedDict, deque
from concurrent.futures import InvalidStateError, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from detection_core.catalog import ModelSpec, get_spec, list_specs
from detection_core.detector import run
from detection_core.engine.base import EngineBusyError, EngineError, Job, JobState, Result, Stage
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.peak_memory import peak_memory
from detection_core.engine.threads import ThreadChooser
from detection_core.fast import sixteen_bits
from detection_core.images import LoadedImage
from detection_core.loader import LoadProgress, ModelLoader, size_in_memory
from detection_core.precision import Precision
from detection_core.weights import DownloadCancelled, WeightsError

logger = logging.getLogger(__name__)

_KEPT_RESULTS = 128
_MAX_JOBS = 64
_MAX_JOBS_PER_VISITOR = 8
# What a picture is taken to cost until its model has run.
_UNKNOWN_SECONDS = 0.5
# Of how many runs the median tells what a model takes here.
_LATEST_RUNS = 15

_Key = tuple[str, tuple[str, str]]


@dataclass(frozen=True)
class _Order:
    """What a job is to do. The spec stays with it: a user's file may be gone or another before its turn comes."""

    image: LoadedImage
    spec: ModelSpec
    measure: bool
    keep: bool

    @property
    def key(self) -> _Key:
        """Under which the result is kept: the picture, the model, and the revision of its weights."""
        return self.image.digest, self.spec.identity


@dataclass(frozen=True, eq=False)
class _Ready:
    """A job whose model is there: it waits for the device since `queued`."""

    job: Job
    order: _Order
    module: nn.Module
    load_time: float
    queued: float


@dataclass
class _Load:
    """A model under way, those who wait for it, and how far it has come."""

    jobs: list[Job]
    state: JobState = field(default_factory=lambda: JobState(Stage.LOAD))


class LocalEngine:
    """Detects in this process.

    One thread feeds the device, fairly between visitors by the time that their pictures take, see `FairQueue`: forward passes side by
    side would fight for the same cores. Each model loads in a thread of its own, and all who wait for it wait together, so that nobody
    waits for somebody else's download. A model runs once per picture: results are kept, by the picture's content, for whoever asks
    again.

    Args:
        device: Where models run, as torch names it.
        loader: Keeps models in memory; None makes one.
        kept_results: How many results are kept.
        max_jobs: How many pictures may wait at a time, each of them decoded in memory.
        max_jobs_per_visitor: How many of them may be one visitor's.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        loader: ModelLoader | None = None,
        kept_results: int = _KEPT_RESULTS,
        max_jobs: int = _MAX_JOBS,
        max_jobs_per_visitor: int = _MAX_JOBS_PER_VISITOR,
    ) -> None:
        self.device = torch.device(device)
        self.loader = loader or ModelLoader(device=device)
        self._loads = ThreadPoolExecutor(max_jobs, thread_name_prefix="load")
        self._runs = ThreadPoolExecutor(1, thread_name_prefix="run")
        self._lock = threading.Lock()
        self._jobs: dict[Job, _Order] = {}
        self._under_way: dict[tuple[str, str], _Load] = {}
        self._queue: FairQueue[_Ready] = FairQueue()
        self._kept: OrderedDict[_Key, Result] = OrderedDict()
        self._max_kept = kept_results
        self._max_jobs = max_jobs
        self._max_jobs_per_visitor = max_jobs_per_visitor
        self._modules_run: WeakSet[nn.Module] = WeakSet()
        self._seconds: dict[str, deque[float]] = {}
        self._cores = torch.get_num_threads() if self.device.type == "cpu" else 1
        self._threads: dict[str, ThreadChooser] = {}

    def submit(self, image: LoadedImage, model: str, *, visitor: str = "", measure: bool = False, keep: bool = True) -> Job:
        """Accepts a picture for detection; returns at once.

        Args:
            image: The picture.
            model: Key of the model.
            visitor: Whoever waits, so that the jobs of one who leaves can be given up; "" for nobody in particular.
            measure: Whether the model is to run even if its result is kept, and its memory to be watched.
            keep: Whether the result is kept for whoever asks again, and may be one that is kept already.

        Raises:
            UnknownModelError: If there is no such model.
            EngineBusyError: If too many pictures are waiting already.
        """
        order = _Order(image, get_spec(model), measure, keep)
        job = Job(model, visitor)
        with self._lock:
            kept = self._look_up(order)
            if kept is None:
                self._admit(job, order)
        if kept is not None:
            job.future.set_result(kept)
            return job
        job.future.add_done_callback(lambda _: self._forget(job))
        self._fetch_model(job, order.spec)
        return job

    def cancel_visitor(self, visitor: str) -> None:
        """Gives up all jobs of a visitor who has gone."""
        with self._lock:
            jobs = [job for job in self._jobs if job.visitor == visitor]
        for job in jobs:
            job.cancel()

    def model_states(self) -> dict[str, str]:
        """Where each model is, in every precision that the device has: "in memory", "on disk" or "to download"."""
        precisions = [p for p in Precision if p is not Precision.FAST or sixteen_bits(self.device)]
        variants = [spec.in_precision(precision) for spec in list_specs() for precision in precisions]
        return {variant.key: self.loader.state(variant) for variant in variants}

    def run_seconds(self) -> dict[str, float]:
        """What a picture takes here: the median of the latest runs, without the first since the model was loaded."""
        with self._lock:
            return {key: statistics.median(seconds) for key, seconds in self._seconds.items()}

    def jobs_of_others(self, visitor: str) -> int:
        """How many jobs are in hand that are not this visitor's."""
        with self._lock:
            return sum(job.visitor != visitor for job in self._jobs)

    def close(self) -> None:
        """Gives up all jobs and ends the engine's threads."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        self._loads.shutdown()
        self._runs.shutdown()

    def _look_up(self, order: _Order) -> Result | None:
        kept = None if order.measure or not order.keep else self._kept.get(order.key)
        if kept is not None:
            self._kept.move_to_end(order.key)
        return kept

    def _admit(self, job: Job, order: _Order) -> None:
        theirs = sum(other.visitor == job.visitor for other in self._jobs) if job.visitor else 0
        if len(self._jobs) >= self._max_jobs or theirs >= self._max_jobs_per_visitor:
            raise EngineBusyError("Too many pictures are waiting already. Try again in a moment.")
        self._jobs[job] = order

    def _fetch_model(self, job: Job, spec: ModelSpec) -> None:
        """Joins those who wait for the job's model, or begins to load it."""
        with self._lock:
            load = self._under_way.get(spec.identity)
            if load is None:
                self._under_way[spec.identity] = _Load([job])
            else:
                load.jobs.append(job)
        if load is None:
            self._loads.submit(self._load, spec)
        else:
            job.update(load.state)

    def _load(self, spec: ModelSpec) -> None:
        started = time.perf_counter()
        in_memory = self.loader.state(spec) == "in memory"
        module: nn.Module | None = None
        error: Exception | None = None
        while module is None and error is None and self._live(spec):
            try:
                module = self.loader.load(spec, on_progress=lambda p: self._report_load(spec, p), cancelled=lambda: not self._live(spec))
            except DownloadCancelled:
                # Everybody had left; should somebody have come since, it is loaded for them.
                continue
            except Exception as caught:
                error = _readable(caught, spec)
        with self._lock:
            jobs = self._under_way.pop(spec.identity).jobs
        load_time = 0.0 if in_memory else time.perf_counter() - started
        for job in jobs:
            if module is not None:
                self._enqueue(job, module, load_time)
            elif error is not None:
                _settle(job, error)
            elif not job.cancelled:
                # Came between the last look and now.
                self._fetch_model(job, spec)

    def _live(self, spec: ModelSpec) -> bool:
        with self._lock:
            return any(not job.cancelled for job in self._under_way[spec.identity].jobs)

    def _report_load(self, spec: ModelSpec, progress: LoadProgress) -> None:
        state = JobState(Stage(progress.stage), progress.done, progress.total)
        with self._lock:
            load = self._under_way[spec.identity]
            load.state = state
            jobs = list(load.jobs)
        for job in jobs:
            job.update(state)

    def _enqueue(self, job: Job, module: nn.Module, load_time: float) -> None:
        with self._lock:
            order = self._jobs.get(job)
            if order is None:
                return
            seconds = self._seconds.get(order.spec.key)
            cost = statistics.median(seconds) if seconds else _UNKNOWN_SECONDS
            # The module goes along: it could be let go before its turn comes, and the device must not wait for a load.
            self._queue.put(_Ready(job, order, module, load_time, time.perf_counter()), job.visitor, cost)
        self._report_places()
        self._runs.submit(self._run_next)

    def _run_next(self) -> None:
        with self._lock:
            # Of those who have queued, some may have given up since.
            ready = self._queue.pop() if len(self._queue) else None
            kept = self._look_up(ready.order) if ready else None
        self._report_places()
        if ready is None:
            return
        if kept is not None:
            _settle(ready.job, kept)
            return
        self._run(ready)

    def _run(self, ready: _Ready) -> None:
        job, order, module = ready.job, ready.order, ready.module
        waited = time.perf_counter() - ready.queued
        job.update(JobState(Stage.RUN))
        first_run = module not in self._modules_run
        self._modules_run.add(module)
        chooser = self._threads.setdefault(order.spec.key, ThreadChooser(self._cores))
        threads = chooser.choose()
        # Only of this thread, in which all models run.
        if self._cores > 1:
            torch.set_num_threads(threads)
        try:
            with peak_memory(self.device) if order.measure else nullcontext(_unknown) as peak:
                (detections,), timings = run(module, order.spec, [np.asarray(order.image.image)], self.device)
                taken = peak()
        except Exception as error:
            _settle(job, _readable(error, order.spec))
            return
        with self._lock:
            if not first_run:
                chooser.ran(threads, timings.network)
                self._seconds.setdefault(order.spec.key, deque(maxlen=_LATEST_RUNS)).append(timings.network + timings.post)
            if order.keep:
                self._kept[order.key] = Result(detections, timings, kept=True)
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
        memory = None if taken is None else taken + size_in_memory(module)
        _settle(job, Result(detections, replace(timings, load=ready.load_time, wait=waited), first_run, memory=memory))

    def _report_places(self) -> None:
        with self._lock:
            waiting = list(self._queue)
        for place, ready in enumerate(waiting):
            ready.job.update(JobState(Stage.QUEUE, place))

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job, None)
            self._queue.discard(lambda ready: ready.job is job)


def _unknown() -> None:
    """Nobody has looked how much memory it took."""


def _readable(error: Exception, spec: ModelSpec) -> Exception:
    """What went wrong in words for people; the log has the rest."""
    if isinstance(error, WeightsError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return EngineError("The device has too little memory for this picture with this model. Try a smaller picture or a lighter model.")
    logger.error("Detection with %s failed", spec.key, exc_info=error)
    return EngineError(f"Detection with {spec.title} failed unexpectedly. Try another model; the server's log has the details.")


def _settle(job: Job, outcome: Result | Exception) -> None:
    """Sets a job's outcome, unless it was given up meanwhile."""
    with suppress(InvalidStateError):
        if isinstance(outcome, Result):
            job.future.set_result(outcome)
        else:
            job.future.set_exception(outcome)
