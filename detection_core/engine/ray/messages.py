"""What the page, the gateway and the detectors say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.engine.base import Function, JobState
from detection_core.models.families import Task
from detection_core.models.residents import ResidentModel
from detection_core.models.spec import ModelSpec


@dataclass(frozen=True)
class Call:
    """An image for a detector, without its pixels, which travel by themselves.

    Attributes:
        spec: The model, looked up once by the page.
        tasks: What is wanted of what it gives.
        measure: Whether nothing may run beside it, and its memory is watched.
        function: What is called with the model in place of detecting, as in `Engine.call`.
    """

    spec: ModelSpec
    tasks: frozenset[Task]
    measure: bool
    function: Function | None = None

    @property
    def model_id(self) -> str:
        """Identifies the model's weights and the content of its file in Ray Serve."""
        return "#".join(self.spec.weights_identity)


@dataclass(frozen=True)
class DetectorReport:
    """What a detector has.

    Attributes:
        name: The replica's name.
        states: Where each model is, as `Engine.model_states` says.
        models: Models in memory.
        max_in_flight: With how many images it is busy.
    """

    name: str
    states: Mapping[str, str]
    models: tuple[ResidentModel, ...]
    max_in_flight: int


@dataclass(frozen=True)
class Answer:
    """A `Result`, or what a call's function has returned, and what the detector has after it."""

    result: Any
    report: DetectorReport


FromDetector = JobState | Answer | Exception


@dataclass(frozen=True)
class Submit:
    """The page's message to the gateway: a call under a number, with its pixels, RGB uint8 [H,W,3]."""

    number: int
    call: Call
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Cancel:
    """The page's message that a call is no longer waited for."""

    number: int


@dataclass(frozen=True)
class Update:
    """The gateway's message about a call: its state, or its end as an answer or an error."""

    number: int
    content: FromDetector


@dataclass(frozen=True)
class ClusterState:
    """The gateway's message about the cluster.

    Attributes:
        detectors: How many detectors run.
        report: What one of them has, if it was asked.
    """

    detectors: int
    report: DetectorReport | None = None


@dataclass(frozen=True)
class Lost:
    """The gateway's last message: why there is no cluster."""

    reason: str
