"""Detectors to be measured: torchvision's own modules, with weights that find things, and as many of them as a measurement needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from benchmarks import random_models
from detection_core.models.build import build_model
from detection_core.models.catalog import ModelSpec
from detection_core.models.detector import run
from detection_core.models.weights import find_weights

_CPU = torch.device("cpu")
# Above it, scores of sixteen bits are all the same.
_SATURATED = 0.99
_MOST_SOFTENINGS = 3


def trained_weights(spec: ModelSpec, *, wanted: bool) -> Path | None:
    """A model's own weights if they are wanted and here; those of the built-in model always."""
    return find_weights(spec) if wanted or spec.source == "embedded" else None


def calibrated_module(spec: ModelSpec, pixels: NDArray[np.uint8]) -> nn.Module:
    """A model as torchvision has it, with random weights that find things in an image and are not all too sure of them."""
    # Not kept: they are large.
    module: nn.Module = random_models.calibrated_module.__wrapped__(spec.key, size=None)
    random_models.random_module.cache_clear()
    for _ in range(_MOST_SOFTENINGS):
        (found,), _ = run(module, spec, [pixels], _CPU)
        if np.median(found.scores) < _SATURATED:
            break
        for name, layer in module.named_modules():
            if name.endswith(("cls_score", "cls_logits")):
                for values in layer.parameters():
                    values.mul_(0.25)
    return module


def stock_module(spec: ModelSpec, pixels: NDArray[np.uint8], *, trained: bool = False) -> nn.Module:
    """A model as torchvision has it: with its own weights where `trained_weights` finds some, otherwise calibrated ones."""
    path = trained_weights(spec, wanted=trained)
    return build_model(spec, path) if path else calibrated_module(spec, pixels)


def threshold_between(scores: NDArray[np.float32], count: int, floor: float) -> float:
    """Between the best scores, so many, and the next one; or the model's floor if there are no more than that."""
    return float(scores[count - 1 : count + 1].mean()) if len(scores) > count else floor


def set_threshold(module: nn.Module, threshold: float) -> None:
    """Lets only objects above a score leave a model."""
    owner: Any = module.roi_heads if isinstance(module, GeneralizedRCNN) else module
    owner.score_thresh = threshold
