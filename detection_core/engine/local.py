"""The engine that runs in this process: models load side by side, images pass through the device in fair turns."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import InvalidStateError, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from detection_core.engine.base import EngineBusyError, EngineError, Job, JobState, Result, Stage
from detection_core.engine.cores import CoreAllocation, Cores
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.peak_memory import peak_memory
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, get_model_spec, list_specs
from detection_core.models.detector import run
from detection_core.models.device import is_lack_of_memory
from detection_core.models.families import Task
from detection_core.models.loader import LoadProgress, ModelLoader, size_in_memory
from detection_core.models.optimized import sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.weights import DownloadCancelled, WeightsError

logger = logging.getLogger(__name__)

_KEPT_RESULTS = 128
_MAX_JOBS = 64
_MAX_JOBS_PER_VISITOR = 8
# What an image is taken to cost until its model has run.
_UNKNOWN_SECONDS = 0.5
# No clock is finer.
_LEAST_SECONDS = 1e-6
# Of how many runs the median tells what a model takes here.
_LATEST_RUNS = 15
# On an H100 an image takes a third to two thirds of the time in a pass of eight; hardly less in a larger one.
_GPU_BATCH = 8

_Key = tuple[str, tuple[str, str], frozenset[Task]]


@dataclass(frozen=True)
class _Order:
    """What a job is to do. The spec stays with it: a user's file may be gone or another before its turn comes."""

    image: LoadedImage
    spec: ModelSpec
    measure: bool
    keep: bool
    tasks: frozenset[Task]

    @property
    def key(self) -> _Key:
        """Under which the result is kept: the image, the model, the revision of its weights, and what was wanted."""
        return self.image.digest, self.spec.identity, self.tasks


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

    Images wait in one line, fair between visitors by the time that their images take, see `FairQueue`. Whose turn it is gets cores as
    soon as there are enough, see `Cores`; nobody overtakes meanwhile, so that light models never starve a heavy one. Each model loads in
    a thread of its own, and all who wait for it wait together, so that nobody waits for somebody else's download. A model runs once per
    image: results are kept, by the image's content, for whoever asks again.

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
        kept_results: int = _KEPT_RESULTS,
        max_jobs: int = _MAX_JOBS,
        max_jobs_per_visitor: int = _MAX_JOBS_PER_VISITOR,
        cores: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.loader = loader or ModelLoader(device=device)
        self._loads = ThreadPoolExecutor(max_jobs, thread_name_prefix="load")
        on_cpu = self.device.type == "cpu"
        self._cores = Cores(cores or (torch.get_num_threads() if on_cpu else 1))
        self._batch = batch or (_GPU_BATCH if self.device.type == "cuda" else 1)
        self.max_in_flight = self._cores.count * self._batch + 1
        self._runs = ThreadPoolExecutor(self._cores.count, thread_name_prefix="run")
        self._lock = threading.Lock()
        self._jobs: dict[Job, _Order] = {}
        self._under_way: dict[tuple[str, str], _Load] = {}
        self._queue: FairQueue[_Ready] = FairQueue()
        self._running: set[_Ready] = set()
        self._kept: OrderedDict[_Key, Result] = OrderedDict()
        self._max_kept = kept_results
        self._max_jobs = max_jobs
        self._max_jobs_per_visitor = max_jobs_per_visitor
        self._modules_run: WeakSet[nn.Module] = WeakSet()
        self._seconds: dict[str, deque[float]] = {}
        self._costs: dict[str, deque[float]] = {}

    def submit(
        self,
        image: LoadedImage,
        model: str | ModelSpec,
        *,
        visitor: str = "",
        measure: bool = False,
        keep: bool = True,
        tasks: Collection[Task] | None = None,
    ) -> Job:
        """Accepts an image for detection; returns at once.

        Args:
            image: The image.
            model: Key of the model, or its spec.
            visitor: Whoever waits, so that the jobs of one who leaves can be given up; "" for nobody in particular.
            measure: Whether the model is to run even if its result is kept, and its memory to be watched.
            keep: Whether the result is kept for whoever asks again, and may be one that is kept already.
            tasks: What is wanted of what the model gives; None for all. Boxes are always given. Masks and keypoints that nobody looks at
                need not be computed; who wants them later asks again, and the model runs again.

        Raises:
            UnknownModelError: If there is no such model.
            EngineBusyError: If too many images are waiting already.
        """
        spec = get_model_spec(model) if isinstance(model, str) else model
        order = _Order(
            image, spec, measure, keep, frozenset(task for task in spec.tasks if tasks is None or task == "boxes" or task in tasks)
        )
        job = Job(order.spec.key, visitor)
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
        """What an image takes here: the median of the latest runs, without the first since the model was loaded."""
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
            raise EngineBusyError("Too many images are waiting already. Try again in a moment.")
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
            costs = self._costs.get(order.spec.key)
            cost = max(statistics.median(costs), _LEAST_SECONDS) if costs else _UNKNOWN_SECONDS
            # The module goes along: it could be let go before its turn comes, and the device must not wait for a load.
            self._queue.put(_Ready(job, order, module, load_time, time.perf_counter()), job.visitor, cost)
        self._run_those_due()

    def _run_those_due(self) -> None:
        """Begins with whoever is first in line, as long as there are cores for them."""
        with self._lock:
            due = list(self._due())
        for ready, outcome in due:
            if isinstance(outcome, CoreAllocation):
                self._runs.submit(self._run, ready, outcome)
            else:
                _settle(ready[0].job, outcome)
        self._report_places()

    def _due(self) -> Iterator[tuple[list[_Ready], CoreAllocation | Result]]:
        """Takes out of the line who can be served now, with their cores or with a result that is kept."""
        while len(self._queue):
            order = self._queue.peek().order
            kept = self._look_up(order)
            if kept is not None:
                yield [self._queue.pop()], kept
                continue
            # Who asks for what is being looked at just now gets that.
            if order.keep and any(running.order.key == order.key for running in self._running):
                return
            share = self._cores.take(order.spec.key, others_wait=len(self._queue) > 1, undisturbed=order.measure)
            if share is None:
                return
            batch = [self._queue.pop()]
            while len(batch) < self._batch and len(self._queue) and self._goes_along(self._queue.peek(), batch):
                batch.append(self._queue.pop())
            self._running.update(batch)
            yield batch, share

    def _goes_along(self, ready: _Ready, batch: list[_Ready]) -> bool:
        """Whether the next in line may share a pass: only images of one size, because a smaller one would be padded and change."""
        first, order = batch[0], ready.order
        size, tasks = first.order.image.image.size, first.order.tasks
        alike = ready.module is first.module and order.image.image.size == size and order.tasks == tasks
        again = order.keep and any(order.key == other.order.key for other in batch)
        return alike and not again and not (order.measure or first.order.measure) and self._look_up(order) is None

    def _run(self, batch: list[_Ready], share: CoreAllocation) -> None:
        started = time.perf_counter()
        for ready in batch:
            ready.job.update(JobState(Stage.RUN))
        with self._lock:
            first_run = batch[0].module not in self._modules_run
            self._modules_run.add(batch[0].module)
        # Only of this thread.
        if self._cores.count > 1:
            torch.set_num_threads(share.threads)
        outcomes = self._pass_through(batch, first_run)
        passes = 1
        if len(batch) > 1 and isinstance(outcomes[0], Exception):
            # Together they may have been too much, or one of them has spoilt it for all.
            outcomes = [self._pass_through([ready], first_run)[0] for ready in batch]
            passes = len(batch)
        # Of images that shared a pass each tells the time of the whole.
        taken = [outcome.timings.network + outcome.timings.post for outcome in outcomes if isinstance(outcome, Result)]
        seconds = sum(taken) * passes / len(batch)
        with self._lock:
            self._running.difference_update(batch)
            tells = not first_run and len(taken) == len(batch)
            self._cores.give_back(share, seconds if tells else None)
            for ready, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Result):
                    self._note(ready.order, outcome, seconds * share.cores / self._cores.count / len(batch))
        self._run_those_due()
        for ready, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Result):
                timings = replace(outcome.timings, load=ready.load_time, wait=started - ready.queued)
                outcome = replace(outcome, timings=timings)
            _settle(ready.job, outcome)

    def _pass_through(self, batch: list[_Ready], first_run: bool) -> Sequence[Result | Exception]:
        """Runs the model once on some images."""
        order, module = batch[0].order, batch[0].module
        try:
            with peak_memory(self.device) if order.measure else nullcontext(_unknown) as peak:
                images = [np.asarray(ready.order.image.image) for ready in batch]
                found, timings = run(module, order.spec, images, self.device, tasks=order.tasks)
                taken = peak()
        except Exception as error:
            return [_readable(error, order.spec)] * len(batch)
        memory = None if taken is None else taken + size_in_memory(module)
        return [Result(detections, timings, first_run, memory=memory) for detections in found]

    def _note(self, order: _Order, result: Result, cost: float) -> None:
        """Keeps a result, and remembers what it took: seconds, and its share of all the device's time."""
        if not result.first_run:
            seconds = result.timings.network + result.timings.post
            self._seconds.setdefault(order.spec.key, deque(maxlen=_LATEST_RUNS)).append(seconds)
            self._costs.setdefault(order.spec.key, deque(maxlen=_LATEST_RUNS)).append(cost)
        if order.keep:
            self._kept[order.key] = replace(result, kept=True, first_run=False, memory=None)
        while len(self._kept) > self._max_kept:
            self._kept.popitem(last=False)

    def _report_places(self) -> None:
        # Within the lock: whoever begins to run meanwhile must not be told to wait afterwards.
        with self._lock:
            for place, ready in enumerate(self._queue):
                ready.job.update(JobState(Stage.QUEUE, place))

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job, None)
            gave_up = self._queue.discard(lambda ready: ready.job is job)
        # They may have been first in line, and waited for more cores than the next one needs.
        if gave_up:
            self._run_those_due()


def _unknown() -> None:
    """Nobody has looked how much memory it took."""


def _readable(error: Exception, spec: ModelSpec) -> Exception:
    """What went wrong in words for people, with the error as its cause; the log has the rest."""
    if isinstance(error, WeightsError):
        return error
    if is_lack_of_memory(error):
        told = "The device has too little memory for this image with this model. Try a smaller image or a lighter model."
    else:
        logger.error("Detection with %s failed", spec.key, exc_info=error)
        told = f"Detection with {spec.title} failed unexpectedly. Try another model; the server's log has the details."
    readable = EngineError(told)
    readable.__cause__ = error
    return readable


def _settle(job: Job, outcome: Result | Exception) -> None:
    """Sets a job's outcome, unless it was given up meanwhile."""
    with suppress(InvalidStateError):
        if isinstance(outcome, Result):
            job.future.set_result(outcome)
        else:
            job.future.set_exception(outcome)
