"""Runs jobs on the device: those whose models are loaded wait in one line, get cores in their turn, and may share a pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from weakref import WeakSet

import torch
from torch import nn

from detection_core.engine.base import Job, JobState, Result, Stage
from detection_core.engine.cores import CoreAllocation, Cores
from detection_core.engine.fair_queue import FairQueue
from detection_core.engine.open_jobs import OpenJobs
from detection_core.engine.passes import QueuedJob, Returned, answers_of, part_in_pass, run_jobs
from detection_core.engine.result_cache import Request, ResultCache
from detection_core.engine.run_times import RunTimes
from detection_core.engine.tile_runs import TileRuns
from detection_core.errors import UserError
from detection_core.models.loader import ModelLoader


class Runs:
    """The line for a device, and its runs.

    Args:
        loader: Where models that are not needed make room.
        device: Where models run.
        jobs: The engine's jobs, with its lock.
        kept: Results that are kept.
        cores: The device's cores.
        batch: How many images of one size, next to each other in line, a model may take in one pass.
    """

    def __init__(self, loader: ModelLoader, device: torch.device, jobs: OpenJobs, kept: ResultCache, cores: Cores, batch: int) -> None:
        self._loader = loader
        self._device = device
        self._jobs = jobs
        self._lock = jobs.lock
        self._kept = kept
        self._cores = cores
        self._batch = batch
        self._threads = ThreadPoolExecutor(cores.count, thread_name_prefix="run")
        self._queue: FairQueue[QueuedJob] = FairQueue()
        self._running: set[QueuedJob] = set()
        self._networks_run: WeakSet[nn.Module] = WeakSet()
        self._seconds = RunTimes()
        self._costs = RunTimes()

    def put(self, job: Job, module: nn.Module, load_time: float) -> None:
        """Puts an open job into the line, with its loaded model, and the seconds that loading took."""
        try:
            with self._lock:
                request = self._jobs.request(job)
                if request is None:
                    return
                # With the module: the loader could drop it before the job's turn comes, and the device must not wait for a load.
                self._put(QueuedJob(job, request, module, load_time, time.perf_counter(), self._tiles(request)))
        except UserError as error:
            job.complete(error)
            return
        self._start()

    def remove(self, job: Job) -> None:
        """Forgets a job that is done or cancelled."""
        with self._lock:
            self._jobs.remove(job)
            was_queued = self._queue.discard(lambda queued: queued.job is job)
        # It may have been first in line, and waited for more cores than the next one needs.
        if was_queued:
            self._start()

    def counts(self) -> tuple[int, int]:
        """Returns how many open jobs wait, and how many run."""
        with self._lock:
            running = {queued.job for queued in self._running}
            return len(self._jobs) - sum(job in self._jobs for job in running), len(running)

    def seconds(self, *, first: bool) -> dict[str, float]:
        """What an image takes here; see `Engine.run_seconds`."""
        with self._lock:
            return self._seconds.medians(first=first)

    def close(self) -> None:
        """Waits for what runs, and ends the threads."""
        self._threads.shutdown()

    def _tiles(self, request: Request) -> TileRuns | None:
        """The tiles of a sliced image: those of a job that asks for the same, or new ones."""
        if request.function is not None or request.spec.slices is None:
            return None
        same = (queued.tiles for queued in (*self._running, *self._queue) if queued.asks_for_same(request))
        return next(same, None) or TileRuns(request.image.image, request.spec.slices)

    def _put(self, queued: QueuedJob) -> None:
        self._queue.put(queued, queued.job.visitor, self._costs.cost(_runs_as(queued.request)))

    def _start(self) -> None:
        """Starts the first jobs in line, as long as there are cores for them."""
        answered = []
        with self._lock:
            for batch, outcome in self._next_batches():
                if isinstance(outcome, CoreAllocation):
                    self._threads.submit(self._run, batch, outcome)
                else:
                    answered.append((batch[0].job, outcome))
        for job, kept in answered:
            job.complete(kept)
        self._report_positions()

    def _next_batches(self) -> Iterator[tuple[list[QueuedJob], CoreAllocation | Result]]:
        """Takes the jobs out of the line that can be served now, with their cores or with a result that is kept."""
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
        """Whether the result of a job that runs serves a request."""
        return request.keep and any(running.request.key == request.key for running in self._running)

    def _next_in_pass(self, batch: list[QueuedJob]) -> QueuedJob | None:
        """Takes the next job if it may share the pass: another tile of an image that is in it, or the first in line."""
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
        outcomes, passes = run_jobs(batch, self._loader, self._device, first_run=first_run)
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
        self._start()
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


def _runs_as(request: Request) -> str:
    """The key of the model that runs: a tile costs as much as an image."""
    return request.spec.in_slices(None).key
