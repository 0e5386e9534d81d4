"""Passes of images through a model: which jobs share one, what each job gets, and errors in words for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detection_core.engine.base import EngineError, Job, JobState, Result, Stage
from detection_core.engine.peak_memory import peak_memory
from detection_core.engine.result_cache import Request
from detection_core.engine.tile_runs import TileRuns
from detection_core.errors import UserError
from detection_core.models.detector import run
from detection_core.models.device import is_lack_of_memory
from detection_core.models.loader import ModelLoader
from detection_core.models.residents import size_in_memory
from detection_core.models.spec import ModelSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Returned:
    """What the function of a call has returned."""

    value: Any


Outcome = Result | Returned | Exception


@dataclass(frozen=True, eq=False)
class QueuedJob:
    """A job whose model is loaded: it waits for the device since `queued`. That of a sliced image returns into the line after each tile."""

    job: Job
    request: Request
    module: nn.Module
    load_time: float
    queued: float
    tiles: TileRuns | None = None
    # Before `queued`, seconds.
    waited: float = 0.0

    @property
    def state(self) -> JobState:
        """The state of the job while it runs."""
        return self.tiles.state if self.tiles else JobState(Stage.RUN)

    def pixels(self) -> NDArray[np.uint8]:
        """What the model runs on next, RGB uint8 [H,W,3]."""
        return self.tiles.next_pixels() if self.tiles else np.asarray(self.request.image.image)


def may_share_pass(queued: QueuedJob, batch: Sequence[QueuedJob]) -> bool:
    """Returns whether a job may join others in a pass: only images of one size, because a smaller one would be padded and change."""
    first, request = batch[0], queued.request
    size, tasks = first.request.image.image.size, first.request.tasks
    if request.function is not None or first.request.function is not None or queued.tiles or first.tiles:
        return False
    alike = queued.module is first.module and request.image.image.size == size and request.tasks == tasks
    again = request.keep and any(request.key == other.request.key for other in batch)
    return alike and not again and not (request.measure or first.request.measure)


def run_jobs(batch: Sequence[QueuedJob], loader: ModelLoader, device: torch.device, *, first_run: bool) -> tuple[Sequence[Outcome], int]:
    """Runs jobs that share a pass; each by itself if together they fail, and one once more if other models can make room for it.

    Args:
        batch: The jobs, all of one module.
        loader: Where models that are not needed make room.
        device: Where the module is.
        first_run: Whether the module has not run since it was loaded.

    Returns:
        The outcomes in the order of the jobs, and the number of passes that gave them.
    """
    outcomes = _run_once(batch, device, first_run)
    if len(batch) == 1 and _ran_out_of_memory(outcomes[0]) and loader.make_room(batch[0].request.spec.key):
        outcomes = _run_once(batch, device, first_run)
    if len(batch) > 1 and isinstance(outcomes[0], Exception):
        # Together they may have been too much, or one of them has spoilt it for all.
        return [_run_once([queued], device, first_run)[0] for queued in batch], len(batch)
    return outcomes, 1


def answer_of(queued: QueuedJob, outcome: Outcome) -> Outcome | None:
    """Returns what a job's run means for the job: its outcome, or for a tile that is not the last, None."""
    if queued.tiles is None or not isinstance(outcome, Result):
        return outcome
    try:
        return queued.tiles.add(outcome)
    except Exception as error:
        return in_words(error, queued.request.spec)


def in_words(error: BaseException, spec: ModelSpec) -> Exception:
    """Returns what went wrong in words for people, with the error as its cause; the log has the rest."""
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


def _run_once(batch: Sequence[QueuedJob], device: torch.device, first_run: bool) -> Sequence[Outcome]:
    """Runs the model once on some images, or the function of a call."""
    request, module = batch[0].request, batch[0].module
    try:
        if request.function is not None:
            return [Returned(request.function(module, request.spec, np.asarray(request.image.image)))]
        with peak_memory(device) if request.measure else nullcontext(_unknown) as peak:
            images = [queued.pixels() for queued in batch]
            found, timings = run(module, request.spec, images, device, tasks=request.tasks)
            run_memory = peak()
    except BaseException as error:
        # Of any kind: whatever ends a run, its cores must be released and whoever waits must hear of it.
        return [in_words(error, request.spec)] * len(batch)
    memory = None if run_memory is None else run_memory + size_in_memory(module)
    return [Result(detections, timings, request.spec, first_run, memory=memory) for detections in found]


def _unknown() -> None:
    """The memory of a run that is not measured."""


def _ran_out_of_memory(outcome: Outcome) -> bool:
    return isinstance(outcome, Exception) and outcome.__cause__ is not None and is_lack_of_memory(outcome.__cause__)
