"""Builds a detector from a weights file exactly as torchvision's builders do, but without downloading or initialising anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.models import detection as torchvision_detection
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.ops import FrozenBatchNorm2d

from detection_core.architectures import person_mobilenet_v2_fpn
from detection_core.catalog import ModelSpec

# Given weights, these builders of torchvision/models/detection freeze the batch norms of the backbone, and some of them set their
# epsilon to 0 (`overwrite_eps`). Without weights they do neither, so it is done here. The others leave their norms alone.
_FROZEN_NORM_EPSILON = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 1e-5,
    "fasterrcnn_mobilenet_v3_large_fpn": 1e-5,
    "fasterrcnn_resnet50_fpn": 0.0,
    "fcos_resnet50_fpn": 1e-5,
    "keypointrcnn_resnet50_fpn": 0.0,
    "keypointrcnn_resnet50_fpn_legacy": 1e-5,
    "maskrcnn_resnet50_fpn": 0.0,
    "retinanet_resnet50_fpn": 0.0,
}


def build_model(spec: ModelSpec, path: Path) -> nn.Module:
    """Builds a model and fills it from its weights file.

    Args:
        spec: The model.
        path: A state dict of it as `torch.save` writes it, in the zip or the older format, in any floating-point type.

    Returns:
        The module on the CPU, in float32, in evaluation mode and without gradients. Its output equals to the bit what torchvision's
        builder gives with the same weights.

    Raises:
        Exception: Of many kinds, if the file is damaged or belongs to another model; torch promises no particular one.
    """
    # Not memory-mapped: torchvision's older files are not zips, and a mapped file must not be changed while the model lives.
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, tensor in state.items():
        state[name] = tensor.float() if tensor.is_floating_point() else tensor
    with _NoRandomInitialisation():
        module = empty_model(spec)
    module.load_state_dict(state, assign=True)
    return module.eval().requires_grad_(False)


def empty_model(spec: ModelSpec) -> nn.Module:
    """Builds a model's structure as it is when its weights are loaded, with arbitrary parameters."""
    if spec.weights is None:
        embedded: nn.Module = person_mobilenet_v2_fpn()
        return embedded
    builder = next(name for name in list_models(module=torchvision_detection) if get_model_weights(name) is type(spec.weights))
    sizes = {"num_classes": len(spec.categories)}
    if spec.keypoint_names:
        sizes["num_keypoints"] = len(spec.keypoint_names)
    module: nn.Module = get_model(builder, weights=None, weights_backbone=None, **sizes)
    if spec.key in _FROZEN_NORM_EPSILON:
        _freeze_batch_norms(module, _FROZEN_NORM_EPSILON[spec.key])
    return module


def _freeze_batch_norms(module: nn.Module, epsilon: float) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, epsilon))
        else:
            _freeze_batch_norms(child, epsilon)


class _NoRandomInitialisation(TorchFunctionMode):
    """Leaves new parameters as they are in this thread: they are replaced anyway, and drawing 46 million of them takes a second."""

    _DRAWS: frozenset[Callable] = frozenset({nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, Tensor.normal_, Tensor.uniform_})

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func in self._DRAWS:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
