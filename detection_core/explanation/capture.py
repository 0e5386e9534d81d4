"""Runs torchvision's own module once and keeps what passes between its parts, without touching the shared module."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detection_core.detections import Detections
from detection_core.explanation.record import Step
from detection_core.models.detector import run
from detection_core.models.spec import ModelSpec

# Each part of a detector whose output explains the result, and the step that its time belongs to.
_ONE_STAGE = {"transform": "resize", "backbone": "backbone", "head": "head", "anchor_generator": ""}
_TWO_STAGES = {
    "transform": "resize",
    "backbone": "backbone",
    "rpn": "rpn",
    "rpn.head": "",
    "rpn.anchor_generator": "",
    "roi_heads.box_predictor": "",
}


@dataclass(eq=False)
class Captured:
    """What passed between the parts of a detector.

    Attributes:
        inputs: The positional arguments of each part, by its name.
        outputs: The output of each part.
        steps: The steps and their times.
        detections: The result.
    """

    inputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    detections: Detections | None = None


def with_shared_weights(module: nn.Module) -> Any:
    """Copies a module's structure and settings but not its weights, so that hooks and changed settings do not affect other users of it."""
    return copy.deepcopy(module, {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())})


def is_two_stage(module: nn.Module) -> bool:
    """Returns whether a detector has a region proposal network."""
    return hasattr(module, "rpn")


@torch.inference_mode()
def capture(module: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8]) -> Captured:
    """Runs a detector on one image.

    Args:
        module: torchvision's module; it is not changed.
        spec: The model.
        pixels: RGB uint8 [H,W,3].
    """
    own = with_shared_weights(module)
    captured = Captured()
    names = _TWO_STAGES if is_two_stage(module) else _ONE_STAGE
    for name, step in names.items():
        _follow(own.get_submodule(name), name, step, captured)
    started = time.perf_counter()
    device = next(chain(module.parameters(), module.buffers())).device
    captured.detections = run(own, spec, [pixels], device)[0][0]
    rest = time.perf_counter() - started - sum(step.seconds for step in captured.steps)
    captured.steps.append(Step("box head" if is_two_stage(module) else "the rest", rest))
    return captured


def _follow(part: nn.Module, name: str, step: str, captured: Captured) -> None:
    started = 0.0

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal started
        # Lists are copied: torchvision's transform replaces the images in the list that it is given.
        captured.inputs[name] = tuple(list(each) if isinstance(each, Sequence) else each for each in inputs)
        started = time.perf_counter()

    def after(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        captured.outputs[name] = output
        if step:
            captured.steps.append(Step(step, time.perf_counter() - started))

    part.register_forward_pre_hook(before)
    part.register_forward_hook(after)
