"""The engine that runs in this process: images pass through the device in fair turns, beside models that load."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar
from weakref import WeakSet

import torch
from torch import nn

from detection_core.engine.base import Call, EngineStatus, Function, Job, JobState, Result, Stage
from detection_core.engine.cores import CoreAllocation, Cores
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.open_jobs import MAX_JOBS, MAX_JOBS_PER_VISITOR, OpenJobs
from detection_core.engine.passes import QueuedJob, Returned, answers_of, in_words, part_in_pass, run_jobs
from detection_core.engine.result_cache import KEPT_RESULTS, Request, ResultCache
from detection_core.engine.run_times import RunTimes
from detection_core.engine.tile_runs import TileRuns
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import list_specs
from detection_core.models.families import Task
from detection_core.models.loader import LoadOutcome, ModelLoader
from detection_core.models.optimized import sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec

# On an H100 an image takes a third to two thirds of the time in a pass of eight; hardly less in a larger one.
_GPU_BATCH = 8


_Job = TypeVar("_Job", bound=Job)


class LocalEngine:
    """Detects in this process.

    Images wait in one line, fair between visitors by the time that their images take, see `FairQueue`. Whose turn it is gets cores as
    soon as there are enough, see `Cores`; nobody overtakes meanwhile, so that light models never starve a heavy one. Models load beside
    that, see `ModelLoader`, so that nobody waits for the download of a model that they have not asked for. A model runs once per image:
    results are kept, by the image's content, for whoever asks again. A model with slices runs once per tile, see `TileRuns`; tiles share
    passes as images of one size do.

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
        max_jobs: int = MAX_JOBS,
        max_jobs_per_visitor: int = MAX_JOBS_PER_VISITOR,
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
        self._jobs = OpenJobs(max_jobs, max_jobs_per_visitor)
        self._lock = self._jobs.lock
        self._queue: FairQueue[QueuedJob] = FairQueue()
        self._running: set[QueuedJob] = set()
        self._kept = ResultCache(kept_results)
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
        return self._begin(Job(spec, visitor), Request.create(image, spec, measure=measure, keep=keep, tasks=tasks))

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Call:
        """Accepts a function of a model and an image; see `Engine.call`.

        Raises:
            EngineBusyError: If too many images are waiting already.
            EngineError: If the engine has been closed.
        """
        request = Request(image, spec, measure=False, keep=False, tasks=frozenset(spec.tasks), function=function)
        return self._begin(Call(spec, visitor), request)

    def cancel_visitor(self, visitor: str) -> None:
        """Cancels all jobs of a visitor who has gone."""
        self._jobs.cancel_visitor(visitor)

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
        return self._jobs.count_others(visitor)

    def status(self) -> EngineStatus:
        """How much there is to do, and which models are in memory."""
        with self._lock:
            running = {queued.job for queued in self._running}
            waiting = len(self._jobs) - sum(job in self._jobs for job in running)
        return EngineStatus(waiting, len(running), tuple(self.loader.resident()))

    def close(self) -> None:
        """Cancels all jobs and ends the engine's threads."""
        self._jobs.close()
        self._runs.shutdown()

    def _begin(self, job: _Job, request: Request) -> _Job:
        if self._jobs.open(job, request, self._kept):
            job.future.add_done_callback(lambda _: self._remove(job))
            self._load(job)
        return job

    def _load(self, job: Job) -> None:
        """Has an accepted job's model loaded, after which it goes into the line."""
        spec, started = job.spec, time.perf_counter()
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
            raise in_words(error, spec) from error
        if module is not None:
            self._enqueue(job, module, 0.0)

    def _finish_load(self, job: Job, outcome: LoadOutcome, load_time: float) -> None:
        if isinstance(outcome, nn.Module):
            self._enqueue(job, outcome, load_time)
        elif not job.cancelled:
            job.complete(in_words(outcome, job.spec))

    def _enqueue(self, job: Job, module: nn.Module, load_time: float) -> None:
        try:
            with self._lock:
                request = self._jobs.request(job)
                if request is None:
                    return
                # The module goes along: it could be let go before its turn comes, and the device must not wait for a load.
                self._put(QueuedJob(job, request, module, load_time, time.perf_counter(), self._tiles(request)))
        except UserError as error:
            job.complete(error)
            return
        self._start_runs()

    def _tiles(self, request: Request) -> TileRuns | None:
        """The tiles of a sliced image: those of a job that asks for the same, or new ones."""
        if request.function is not None or request.spec.slices is None:
            return None
        same = (queued.tiles for queued in (*self._running, *self._queue) if queued.asks_for_same(request))
        return next(same, None) or TileRuns(request.image.image, request.spec.slices)

    def _put(self, queued: QueuedJob) -> None:
        self._queue.put(queued, queued.job.visitor, self._costs.cost(_runs_as(queued.request)))

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

    def _next_batches(self) -> Iterator[tuple[list[QueuedJob], CoreAllocation | Result]]:
        """Takes out of the line who can be served now, with their cores or with a result that is kept."""
        while len(self._queue) and not self._jobs.closed:
            request = self._queue.peek().request
            kept = self._answer(self._queue.peek())
            if kept is not None:
                yield [self._queue.pop()], kept
                continue
            if self._is_running(request):
                return
            allocation = self._cores.acquire(_runs_as(request), others_wait=len(self._queue) > 1, undisturbed=request.measure)
            if allocation is None:
                return
            batch = [self._queue.pop()]
            while len(batch) < self._batch and (queued := self._next_in_pass(batch)):
                batch.append(queued)
            self._running.update(batch)
            yield batch, allocation

    def _answer(self, queued: QueuedJob) -> Result | None:
        """The result of a job that does not need to run, because that of the same image is there."""
        return self._kept.find(queued.request) or (queued.tiles.result if queued.tiles else None)

    def _is_running(self, request: Request) -> bool:
        """Whether the result of what is running just now serves a request."""
        return request.keep and any(running.request.key == request.key for running in self._running)

    def _next_in_pass(self, batch: list[QueuedJob]) -> QueuedJob | None:
        """Takes whose turn is next if they may share the pass: another tile of an image that is in it, or the first in line."""
        latest = {queued.job: (place, queued) for place, queued in enumerate(batch) if queued.tiles}
        tiles = [
            (self._queue.begins(job.visitor), place, part)
            for job, (place, queued) in latest.items()
            if (part := part_in_pass(queued, batch))
        ]
        if tiles:
            _, _, part = min(tiles)
            if self._queue.leads(part.job.visitor):
                # It stands in line for no time, but counts as the visitor's turn.
                self._put(part)
                return self._queue.pop()
        if not len(self._queue) or self._answer(self._queue.peek()) or self._is_running(self._queue.peek().request):
            return None
        joining = part_in_pass(self._queue.peek(), batch)
        if joining is not None:
            self._queue.pop()
        return joining

    def _run(self, batch: list[QueuedJob], allocation: CoreAllocation) -> None:
        started = time.perf_counter()
        for queued in batch:
            queued.job.update(queued.state)
        with self._lock:
            # The sizes of a model share all but the transform.
            network = getattr(batch[0].module, "backbone", batch[0].module)
            first_run = network not in self._networks_run
            self._networks_run.add(network)
        # Only of this thread.
        if self._cores.count > 1:
            torch.set_num_threads(allocation.threads)
        outcomes, passes = run_jobs(batch, self.loader, self.device, first_run=first_run)
        # Of images that shared a pass each has the time of the whole.
        durations = [outcome.timings.network + outcome.timings.post for outcome in outcomes if isinstance(outcome, Result)]
        seconds = sum(durations) * passes / len(batch)
        answers = [(queued, answer, queued.waited + started - queued.queued) for queued, answer in answers_of(batch, outcomes)]
        with self._lock:
            self._running.difference_update(batch)
            is_typical = not first_run and len(durations) == len(batch)
            self._cores.release(allocation, seconds if is_typical else None)
            for queued, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Result) and not first_run:
                    self._costs.record(_runs_as(queued.request), seconds * allocation.cores / self._cores.count / len(batch))
            for queued, answer, waited in answers:
                if isinstance(answer, Result):
                    self._record(queued.request, answer)
                elif answer is None and queued.job in self._jobs:
                    self._put(replace(queued, waited=waited, queued=time.perf_counter(), ahead=0))
        self._start_runs()
        for queued, answer, waited in answers:
            if isinstance(answer, Result):
                answer = replace(answer, timings=replace(answer.timings, load=queued.load_time, wait=waited))
            if answer is not None:
                queued.job.complete(answer.value if isinstance(answer, Returned) else answer)

    def _record(self, request: Request, result: Result) -> None:
        """Keeps a result, and remembers how long it took."""
        self._seconds.record(request.spec.key, result.timings.network + result.timings.post, first=result.first_run)
        self._kept.add(request, result)

    def _report_positions(self) -> None:
        # Within the lock: a job that starts to run meanwhile must not be reported as queued afterwards.
        with self._lock:
            for position, queued in enumerate(self._queue):
                begun = queued.tiles is not None and queued.tiles.have_begun
                queued.job.update(queued.state if begun else JobState(Stage.QUEUE, position))

    def _remove(self, job: Job) -> None:
        with self._lock:
            self._jobs.remove(job)
            was_queued = self._queue.discard(lambda queued: queued.job is job)
        # It may have been first in line, and waited for more cores than the next one needs.
        if was_queued:
            self._start_runs()


def _runs_as(request: Request) -> str:
    """The key of the model that runs: a tile costs as much as an image."""
    return request.spec.in_slices(None).key
