"""The engine that runs in this process: images pass through the device in fair turns, beside models that load."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TypeVar

import torch
from torch import nn

from detection_core.engine.base import Call, EngineStatus, Function, Job, JobState, Stage
from detection_core.engine.cores import Cores
from detection_core.engine.open_jobs import MAX_JOBS, MAX_JOBS_PER_VISITOR, OpenJobs
from detection_core.engine.passes import in_words
from detection_core.engine.result_cache import KEPT_RESULTS, Request, ResultCache
from detection_core.engine.runs import Runs
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

    Images wait in one line, fair between visitors by the time that their images take, see `FairQueue`. The first in line gets cores as
    soon as there are enough, see `Cores`; no other image overtakes it meanwhile, so that light models never starve a heavy one. Models
    load beside that, see `ModelLoader`, so that no image waits for the download of another one's model. A model runs once per image:
    results are kept, by the image's content, for the next request. A model with slices runs once per tile, see `TileRuns`; tiles share
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
        cores = cores or (torch.get_num_threads() if self.device.type == "cpu" else 1)
        batch = batch or (_GPU_BATCH if self.device.type == "cuda" else 1)
        self.max_in_flight = cores * batch + 1
        self._jobs = OpenJobs(max_jobs, max_jobs_per_visitor)
        self._kept = ResultCache(kept_results)
        self._runs = Runs(self.loader, self.device, self._jobs, self._kept, Cores(cores), batch)

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
            visitor: The visitor, whose jobs can be cancelled together and count as theirs in the line; "" for none.
            measure: Whether the model is to run even if its result is kept, and its memory to be watched.
            keep: Whether the result is kept for later requests, and may be one that is kept already.
            tasks: What is wanted of what the model gives; None for all. Boxes are always given. Masks and keypoints that are not
                shown need not be computed; asking for them later runs the model again.

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
        return self._runs.seconds(first=first)

    def jobs_of_others(self, visitor: str) -> int:
        """How many jobs of other visitors are in progress."""
        return self._jobs.count_others(visitor)

    def status(self) -> EngineStatus:
        """How much there is to do, and which models are in memory."""
        waiting, running = self._runs.counts()
        return EngineStatus(waiting, running, tuple(self.loader.resident()))

    def close(self) -> None:
        """Cancels all jobs and ends the engine's threads."""
        self._jobs.close()
        self._runs.close()

    def _begin(self, job: _Job, request: Request) -> _Job:
        if self._jobs.open(job, request, self._kept):
            job.future.add_done_callback(lambda _: self._runs.remove(job))
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
            self._runs.put(job, module, 0.0)

    def _finish_load(self, job: Job, outcome: LoadOutcome, load_time: float) -> None:
        if isinstance(outcome, nn.Module):
            self._runs.put(job, outcome, load_time)
        elif not job.cancelled:
            job.complete(in_words(outcome, job.spec))
