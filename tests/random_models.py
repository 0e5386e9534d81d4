"""Randomly initialized models where torch.hub would have put trained ones, and hollow ones that take no room."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.random_models import box_finder, random_module
from detection_core.models.catalog import Architecture, ModelSpec
from detection_core.models.empty import build_on_meta

# One model of every family, the lightest, and those that are built in.
FAMILIES = (
    "ssdlite300_mobilenet_v2",
    "person_mobilenet_v2_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
# Those whose parts no lighter one has: the person model has masks and keypoints, SSDlite default boxes, RetinaNet a dense head.
QUICK_FAMILIES = (
    "ssdlite300_mobilenet_v2",
    "person_mobilenet_v2_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
)


def quick_first(keys: Iterable[str], quick: Collection[str]) -> list[Any]:
    """A test's parameters, models for instance, with those that are not among the quick ones marked as slow."""
    return [key if key in quick else pytest.param(key, marks=pytest.mark.slow) for key in keys]


def save_random_weights(spec: ModelSpec, folder: Path) -> Path:
    """Writes random weights under the official file name, as if they had been downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.file_name
    torch.save(random_module(spec.key).state_dict(), path)
    return path


@torch.inference_mode()
def raw_output(module: nn.Module) -> dict[str, torch.Tensor]:
    """The backbone's levels and the best few detections in a small image, however improbable they are."""
    head = box_finder(module)
    head.score_thresh, head.detections_per_img = 0.0, 5
    if hasattr(module, "rpn"):
        module.rpn._post_nms_top_n["testing"] = 20
    if module.transform.max_size > 320:
        module.transform.min_size, module.transform.max_size = (64,), 96
    image = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(1))
    features: dict[str, torch.Tensor] = {}
    module.backbone.register_forward_hook(lambda _, inputs, maps: features.update(maps if isinstance(maps, dict) else {"0": maps}))
    return module([image])[0] | features


def hollow_state(architecture: Architecture) -> dict[str, torch.Tensor]:
    """Weights of the right names and shapes that are nothing but one zero each, so that their file is small and written at once."""
    shapes = _shapes(architecture.builder, tuple(architecture.arguments.items()))
    return {name: torch.zeros((), dtype=dtype).expand(shape) for name, (shape, dtype) in shapes.items()}


@cache
def _shapes(builder: str, arguments: tuple) -> dict[str, tuple[torch.Size, torch.dtype]]:
    state = build_on_meta(Architecture(builder, dict(arguments))).state_dict()
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def hollow_content(architecture: Architecture) -> dict[str, Any]:
    """What a checkpoint's file holds, with a hollow state."""
    classes, keypoints = architecture.arguments["num_classes"], architecture.arguments.get("num_keypoints", 0)
    return {
        "format": "detection-explorer",
        "version": 1,
        "architecture": {"builder": architecture.builder, "arguments": architecture.arguments},
        "categories": ["__background__", *(f"thing {label}" for label in range(1, classes))],
        "keypoint_names": [f"point {number}" for number in range(keypoints)],
        "state": hollow_state(architecture),
        "training": {},
        "metrics": {},
        "default_threshold": None,
        "resume": None,
    }
