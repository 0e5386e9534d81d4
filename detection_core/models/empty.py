"""Builds a detector's structure from its architecture, without downloads and, if wanted, without random initialization."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.models import detection as torchvision_detection
from torchvision.models import get_model, list_models
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.ops import FrozenBatchNorm2d

from detection_core.models import builders
from detection_core.models.input_size import longer_side
from detection_core.models.spec import Architecture, ModelSpec

# Given weights, these builders of torchvision/models/detection freeze the batch norms of the backbone, and some of them set their
# epsilon to 0 (`overwrite_eps`). Without weights they do neither. The others leave their norms alone.
FROZEN_NORM_EPSILON = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_resnet50_fpn": 0.0,
    "fcos_resnet50_fpn": 1e-5,
    "keypointrcnn_resnet50_fpn": 0.0,
    "maskrcnn_resnet50_fpn": 0.0,
    "retinanet_resnet50_fpn": 0.0,
}
_SIDE_IN_NAME = re.compile(r"(?:^[a-z]+|_)(\d{3})_")
# What torchvision's builders resize to if their names say nothing else.
_USUAL_SIDE = 800
# The smallest side that all strides divide.
_FIRST_IMAGE_SIDE = 128
TORCHVISION_BUILDERS = frozenset(list_models(module=torchvision_detection))


def build_empty(architecture: Architecture) -> nn.Module:
    """Builds a model's structure, with the builder's initial parameters.

    Raises:
        ValueError: If there is no such builder.
        TypeError: If the builder does not take such arguments.
    """
    arguments = dict(architecture.arguments)
    epsilon = arguments.pop("frozen_norm_epsilon", None)
    if architecture.builder in TORCHVISION_BUILDERS:
        module: nn.Module = get_model(architecture.builder, weights=None, weights_backbone=None, **arguments)
    elif architecture.builder in builders.BUILDERS:
        module = builders.BUILDERS[architecture.builder](**arguments)
    else:
        raise ValueError(f"There is no builder “{architecture.builder}”.")
    if epsilon is not None:
        _freeze_batch_norms(module.get_submodule("backbone"), epsilon)
    if isinstance(module, GeneralizedRCNN):
        _fix_roi_scales(module)
    return module


def build_on_meta(architecture: Architecture) -> nn.Module:
    """Builds a model's structure on the meta device, without memory for its weights, in about 20 ms.

    Raises:
        ValueError: If there is no such builder.
        TypeError: If the builder does not take such arguments.
    """
    with torch.device("meta"), NoRandomInitialization():
        return build_empty(architecture)


def trained_side(architecture: Architecture) -> int:
    """Returns the shorter side in pixels at which a model was trained, the first of `input_sides`, without building it."""
    if own := architecture.arguments.get("min_size"):
        # torchvision takes several to train at, and detects at the last.
        return int(own[-1] if isinstance(own, list | tuple) else own)
    if named := _SIDE_IN_NAME.search(architecture.builder):
        return int(named[1])
    builder = builders.BUILDERS.get(architecture.builder)
    return int(signature(builder).parameters["min_size"].default) if builder else _USUAL_SIDE


def input_sides(spec: ModelSpec) -> tuple[int, int | None]:
    """Returns the size in pixels to which a model scales larger images down.

    A larger image therefore adds no detail for the model.

    Returns:
        The shorter side, and the longer side or None if that is not bounded.
    """
    transform: Any = build_on_meta(spec.architecture).transform
    if transform.fixed_size is not None:
        return max(transform.fixed_size), None
    trained = transform.min_size[-1], transform.max_size
    return trained if spec.input_size is None else (spec.input_size, longer_side(spec.input_size, *trained))


@torch.no_grad()
def _fix_roi_scales(module: Any) -> None:
    """Fixes the scales of RoI pooling, the ratios of feature map size to image size.

    torchvision infers them from the height of the first image before padding, and keeps them: after a panorama of 1333x20 px all
    images would be pooled at eight times the right scale. The first "image" is therefore one that needs no padding.
    """
    if next(module.parameters()).is_meta:
        return
    features = {name: torch.zeros(shape) for name, shape in builders.map_shapes(module.eval().backbone, _FIRST_IMAGE_SIDE).items()}
    heads = module.roi_heads
    for pool in (heads.box_roi_pool, heads.mask_roi_pool, heads.keypoint_roi_pool):
        if pool is not None:
            pool(features, [torch.zeros(1, 4)], [(_FIRST_IMAGE_SIDE, _FIRST_IMAGE_SIDE)])
    module.train()


def _freeze_batch_norms(module: nn.Module, epsilon: float) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, epsilon))
        else:
            _freeze_batch_norms(child, epsilon)


class NoRandomInitialization(TorchFunctionMode):
    """Skips random initialization in this thread: the parameters are replaced anyway, and drawing 46 million takes a second."""

    _DRAWS: frozenset[Callable] = frozenset({nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_})

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func in self._DRAWS:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
