"""Makes the detectors to measure: torchvision's modules, with weights that find the number of objects that a measurement needs."""

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
# Above it, 16-bit scores cannot be distinguished.
_SATURATED = 0.99
_MOST_SOFTENINGS = 3


def trained_weights(spec: ModelSpec, *, wanted: bool) -> Path | None:
    """Returns a model's own weights if requested and on the disk; those of the built-in model always."""
    return find_weights(spec) if wanted or spec.source == "embedded" else None


def calibrated_module(spec: ModelSpec, pixels: NDArray[np.uint8]) -> nn.Module:
    """Returns torchvision's module with random weights that find objects in an image with moderate scores."""
    # Not cached, because they are large.
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
    """Returns torchvision's module with the weights of `trained_weights` if there are any, otherwise with calibrated ones."""
    path = trained_weights(spec, wanted=trained)
    return build_model(spec, path) if path else calibrated_module(spec, pixels)


def threshold_between(scores: NDArray[np.float32], count: int, floor: float) -> float:
    """Returns a threshold between the best scores of a given number and the next one, or the model's lowest score if there are no more."""
    return float(scores[count - 1 : count + 1].mean()) if len(scores) > count else floor


def set_threshold(module: nn.Module, threshold: float) -> None:
    """Sets the score threshold inside a model."""
    owner: Any = module.roi_heads if isinstance(module, GeneralizedRCNN) else module
    owner.score_thresh = threshold
