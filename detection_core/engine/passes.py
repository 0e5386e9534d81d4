"""Passes of images through a model: which jobs share one, what each job gets, and errors in words for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
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
    # How many tiles of the image are before this one in the same pass.
    ahead: int = 0

    @property
    def state(self) -> JobState:
        """The state of the job while it runs."""
        return self.tiles.state if self.tiles else JobState(Stage.RUN)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what the model runs on next."""
        return self.tiles.tile_size(self.ahead) if self.tiles else self.request.image.image.size

    def pixels(self) -> NDArray[np.uint8]:
        """What the model runs on next, RGB uint8 [H,W,3]."""
        return self.tiles.pixels(self.ahead) if self.tiles else np.asarray(self.request.image.image)

    def asks_for_same(self, request: Request) -> bool:
        """Whether the job's result will answer a request as well."""
        return self.request.may_be_shared and request.may_be_shared and self.request.key == request.key


def part_in_pass(queued: QueuedJob, batch: Sequence[QueuedJob]) -> QueuedJob | None:
    """Returns a job as it may join others in a pass, or None if it may not.

    Only images and tiles of one size may share a pass, because a smaller one would be padded and change.

    Args:
        queued: The job; that of a sliced image joins with its next tile that is not in the pass yet, and may be in it already.
        batch: The others.
    """
    first, request = batch[0].request, queued.request
    if queued.tiles is not None:
        ahead = sum(other.tiles is queued.tiles for other in batch)
        if ahead == queued.tiles.left:
            return None
        queued = replace(queued, ahead=ahead)
    elif request.keep and any(request.key == other.request.key for other in batch):
        return None
    if request.function is not None or first.function is not None or request.measure or first.measure:
        return None
    # Results name the model with its slices.
    alike = queued.module is batch[0].module and request.spec.slices == first.spec.slices and request.tasks == first.tasks
    return queued if alike and queued.size == batch[0].size else None


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
        # Together they may need too much memory, or one of them may have failed.
        return [_run_once([queued], device, first_run)[0] for queued in batch], len(batch)
    return outcomes, 1


def answers_of(batch: Sequence[QueuedJob], outcomes: Sequence[Outcome]) -> list[tuple[QueuedJob, Outcome | None]]:
    """Returns each job that had a run with what that means for it: the outcome, or None while there are tiles left.

    They are in the order in which they had their last turns in the pass, so that ties in line go to who has waited longest.
    """
    ran = list(zip(batch, outcomes, strict=True))
    of_tiles = {queued.tiles: [outcome for other, outcome in ran if other.tiles is queued.tiles] for queued in batch if queued.tiles}
    whole = {tiles: _add(tiles, found, batch[0].request.spec) for tiles, found in of_tiles.items()}
    answers = {queued.job: (queued, whole[queued.tiles] if queued.tiles else outcome) for queued, outcome in reversed(ran)}
    return list(reversed(answers.values()))


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
        # Of any kind: whatever ends a run, its cores must be released and its jobs must get the error.
        return [in_words(error, request.spec)] * len(batch)
    memory = None if run_memory is None else run_memory + size_in_memory(module)
    return [Result(detections, timings, request.spec, first_run, memory=memory) for detections in found]


def _add(tiles: TileRuns, outcomes: Sequence[Outcome], spec: ModelSpec) -> Outcome | None:
    """Adds what a run has found in tiles; if it failed in one of them, none is added, and the error is returned."""
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    if len(results) < len(outcomes):
        return next(outcome for outcome in outcomes if not isinstance(outcome, Result))
    try:
        return tiles.add(results)
    except Exception as error:
        return in_words(error, spec)


def _unknown() -> None:
    """The memory of a run that is not measured."""


def _ran_out_of_memory(outcome: Outcome) -> bool:
    return isinstance(outcome, Exception) and outcome.__cause__ is not None and is_lack_of_memory(outcome.__cause__)
