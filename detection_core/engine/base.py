"""The engine's interface: an image and a model in, a job that can be watched, awaited and cancelled out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from detection_core.detections import Detections
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.detector import Timings
from detection_core.models.families import Task
from detection_core.models.residents import ResidentModel
from detection_core.models.spec import ModelSpec


class Stage(StrEnum):
    """What a job is doing."""

    DOWNLOAD = "download"
    LOAD = "load"
    QUEUE = "queue"
    RUN = "run"
    DONE = "done"


@dataclass(frozen=True)
class JobState:
    """A job's progress.

    Attributes:
        stage: What it is doing.
        done: Bytes downloaded, or jobs ahead while queued, or tiles of a sliced image in which the model has run.
        total: Bytes or tiles in all, or None where unknown. The first of the tiles is the whole image.
    """

    stage: Stage
    done: int = 0
    total: int | None = None


@dataclass(frozen=True)
class Result:
    """What a job gives.

    Attributes:
        detections: Everything down to the floor score.
        timings: Where the time went when the model ran.
        spec: The model as it was submitted, which is the one that ran: a user's file may have been replaced since.
        first_run: Whether it was the model's first image since it was loaded, which is slower than the rest.
        kept: Whether the model had run on this image before, and the result was kept; `timings` are of that time.
        memory: Bytes that the model's weights and this run took together; None if it was not measured or is unknown.
    """

    detections: Detections
    timings: Timings
    spec: ModelSpec
    first_run: bool = False
    kept: bool = False
    memory: int | None = None


@dataclass(frozen=True)
class EngineStatus:
    """What an engine has to do, and what it keeps in memory.

    Attributes:
        waiting: Images that wait for a model or for the device.
        running: Images that are in a model.
        models: Models in memory.
    """

    waiting: int
    running: int
    models: tuple[ResidentModel, ...]


class EngineError(UserError, RuntimeError):
    """Detection failed; the message is for people."""


class EngineBusyError(EngineError):
    """Too many images are waiting already; the message is for people."""


class VisitorBusyError(EngineBusyError):
    """Too many of one visitor's images are waiting already, while others could still send some."""


Cancelled = CancelledError
# A function for `Engine.call`. An engine may run it in another process: it and what it returns must be picklable.
Function = Callable[[nn.Module, ModelSpec, NDArray[np.uint8]], Any]


class Job:
    """One image on its way through the engine. All methods may be called from any thread."""

    def __init__(self, spec: ModelSpec, visitor: str = "") -> None:
        self.spec = spec
        self.visitor = visitor
        self.future: Future[Result] = Future()
        self._state = JobState(Stage.LOAD)
        self._changed = threading.Condition()
        self.future.add_done_callback(lambda _: self.update(JobState(Stage.DONE)))

    @property
    def state(self) -> JobState:
        """What it is doing now."""
        return self._state

    def update(self, state: JobState) -> None:
        """Sets what it is doing; for the engine."""
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def complete(self, outcome: Any) -> None:
        """Sets its result or exception, unless it was cancelled meanwhile; for the engine."""
        with suppress(InvalidStateError):
            if isinstance(outcome, Exception):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)

    def wait_for_change(self, seen: JobState, timeout: float) -> JobState:
        """Waits until the state is another than `seen`, or for `timeout` seconds.

        Returns:
            The state now.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state != seen, timeout)
            return self._state

    def result(self, timeout: float | None = None) -> Result:
        """Waits for the result.

        Raises:
            Cancelled: If the job was cancelled.
            WeightsError: If the model's weights cannot be had.
            EngineError: If detection failed.
            TimeoutError: After `timeout` seconds.
        """
        return self.future.result(timeout)

    def cancel(self) -> None:
        """Cancels the job. A pass through the network that has begun is not interrupted, but its result is dropped."""
        self.future.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.future.cancelled()


class Call(Job):
    """A function of a model on its way through the engine."""

    future: Future[Any]

    def result(self, timeout: float | None = None) -> Any:
        """Waits for what the function returns; raises what `Job.result` raises, and the function's own `UserError`."""
        return self.future.result(timeout)


class Engine(Protocol):
    """Anything that detects. `visitor` names whoever waits.

    Attributes:
        max_in_flight: How many images of a light model keep it busy: one more than it processes side by side.
    """

    max_in_flight: int

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
        """Accepts an image for detection; returns at once. With `measure` the model runs even where its result is kept.

        Without `keep` results are neither taken from those kept nor kept: frames of a video come only once. With `tasks` only these are
        wanted of what the model gives, and boxes, which it always gives.

        Raises:
            EngineBusyError: If too many images are waiting already.
        """

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Call:
        """Accepts a function of a model and an image; returns at once.

        It waits in line with the images, and runs once the model is in memory, on cores of its own. It gets the module, which it must not
        change, the spec and the image's pixels, RGB uint8 [H,W,3]. What it returns is not kept.

        Raises:
            EngineBusyError: If too many images are waiting already.
        """

    def cancel_visitor(self, visitor: str) -> None:
        """Cancels all jobs of a visitor who has gone."""

    def model_states(self) -> dict[str, str]:
        """Where each model is, in every precision that can run, by its key; `state_of` finds a model at an input size.

        It is "in memory", "on disk", "to download", or "not on this machine" where nothing may be downloaded.
        """

    def run_seconds(self, *, first: bool = False) -> dict[str, float]:
        """What an image takes here, from pixels to results: the median of the latest runs, by key of the models that have run.

        A model's first run since it was loaded is slower than the rest; with `first` it is given of models that have no other.
        """

    def jobs_of_others(self, visitor: str) -> int:
        """How many jobs of other visitors are in progress."""

    def status(self) -> EngineStatus:
        """How much there is to do, and which models are in memory; cheap enough to be asked every few seconds."""

    def close(self) -> None:
        """Cancels all jobs and ends the engine's threads."""
