"""The engine that runs in this process: models load side by side, pictures pass through the device one at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from weakref import WeakSet

import numpy as np
import torch
from torch import nn

from detection_core.catalog import get_spec, list_models
from detection_core.detector import run
from detection_core.engine.base import EngineError, Job, JobState, Result, Stage
from detection_core.images import LoadedImage
from detection_core.loader import LoadProgress, ModelLoader
from detection_core.weights import DownloadCancelled, WeightsError

logger = logging.getLogger(__name__)

_CONCURRENT_LOADS = 4
_CACHED_RESULTS = 128


class LocalEngine:
    """Detects in this process.

    One thread feeds the device, first come first served: forward passes side by side would fight for the same cores. Downloads
    and loads happen in other threads, so that nobody waits for somebody else's download. A model runs once per picture: results
    are kept, by the picture's content, for whoever asks again.

    Args:
        device: Where models run, as torch names it.
        loader: Keeps models in memory; None makes one.
        cached_results: How many results are kept.
    """

    def __init__(self, device: str = "cpu", *, loader: ModelLoader | None = None, cached_results: int = _CACHED_RESULTS) -> None:
        self.device = torch.device(device)
        self.loader = loader or ModelLoader(device=device)
        self._loads = ThreadPoolExecutor(_CONCURRENT_LOADS, thread_name_prefix="load")
        self._runs = ThreadPoolExecutor(1, thread_name_prefix="run")
        self._lock = threading.Lock()
        self._jobs: dict[Job, None] = {}
        self._queue: dict[Job, None] = {}
        self._cache: OrderedDict[tuple[str, str], Result] = OrderedDict()
        self._cached_results = cached_results
        self._modules_run: WeakSet[nn.Module] = WeakSet()

    def submit(self, image: LoadedImage, model: str, *, visitor: str = "") -> Job:
        """Accepts a picture for detection; returns at once.

        Args:
            image: The picture.
            model: Key of the model.
            visitor: Whoever waits, so that the jobs of one who leaves can be given up.

        Raises:
            UnknownModelError: If there is no such model.
        """
        get_spec(model)
        job = Job(model, visitor)
        key = (image.digest, model)
        with self._lock:
            if cached := self._cache.get(key):
                self._cache.move_to_end(key)
                job.future.set_result(cached)
                return job
            self._jobs[job] = None
        job.future.add_done_callback(lambda _: self._forget(job))
        self._loads.submit(self._guarded, self._load, job, image)
        return job

    def cancel_visitor(self, visitor: str) -> None:
        """Gives up all jobs of a visitor who has gone."""
        with self._lock:
            jobs = [job for job in self._jobs if job.visitor == visitor]
        for job in jobs:
            job.cancel()

    def model_states(self) -> dict[str, str]:
        """Where each model is: "in memory", "on disk" or "to download"."""
        return {key: self.loader.state(key) for key in list_models()}

    def close(self) -> None:
        """Gives up all jobs and ends the engine's threads."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        self._loads.shutdown()
        self._runs.shutdown()

    def _guarded(self, step: Callable[..., None], job: Job, *args: object) -> None:
        """Runs a step of a job in an engine's thread; whatever goes wrong becomes the job's result."""
        if job.cancelled:
            return
        try:
            step(job, *args)
        except DownloadCancelled:
            job.cancel()
        except WeightsError as error:
            _settle(job, error)
        except torch.OutOfMemoryError:
            _settle(
                job,
                EngineError("The device has too little memory for this picture with this model. Try a smaller picture or a lighter model."),
            )
        except Exception as error:
            logger.exception("Detection with %s failed", job.model)
            failure = EngineError(
                f"Detection with {get_spec(job.model).title} failed unexpectedly. Try another model; the server's log has the details."
            )
            failure.__cause__ = error
            _settle(job, failure)

    def _load(self, job: Job, image: LoadedImage) -> None:
        started = time.perf_counter()
        in_memory = self.loader.state(job.model) == "in memory"
        self._module(job)
        load_time = 0.0 if in_memory else time.perf_counter() - started
        with self._lock:
            self._queue[job] = None
        self._report_places()
        self._runs.submit(self._guarded, self._run, job, image, load_time, time.perf_counter())

    def _run(self, job: Job, image: LoadedImage, load_time: float, queued: float) -> None:
        with self._lock:
            self._queue.pop(job, None)
        self._report_places()
        waited = time.perf_counter() - queued
        # Nearly always a look-up: only if others' models pushed this one out meanwhile is it loaded again.
        module = self._module(job)
        job.update(JobState(Stage.RUN))
        first_run = module not in self._modules_run
        self._modules_run.add(module)
        (detections,), timings = run(module, get_spec(job.model), [np.asarray(image.image)], self.device)
        result = Result(detections, replace(timings, load=load_time, wait=waited), first_run)
        with self._lock:
            self._cache[image.digest, job.model] = Result(detections, replace(timings, load=0.0, wait=0.0), first_run)
            while len(self._cache) > self._cached_results:
                self._cache.popitem(last=False)
        _settle(job, result)

    def _module(self, job: Job) -> nn.Module:
        def report(progress: LoadProgress) -> None:
            job.update(JobState(Stage(progress.stage), progress.done, progress.total))

        return self.loader.load(job.model, on_progress=report, cancelled=lambda: job.cancelled)

    def _report_places(self) -> None:
        with self._lock:
            waiting = list(self._queue)
        for place, job in enumerate(waiting):
            job.update(JobState(Stage.QUEUE, place))

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job, None)
            self._queue.pop(job, None)


def _settle(job: Job, outcome: Result | Exception) -> None:
    """Sets a job's outcome, unless it was given up meanwhile."""
    with suppress(InvalidStateError):
        if isinstance(outcome, Result):
            job.future.set_result(outcome)
        else:
            job.future.set_exception(outcome)
