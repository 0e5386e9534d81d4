"""Speeds up the forward and backward passes of a detector's heavy parts, without changing box arithmetic and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN


def accelerate(module: nn.Module, device: torch.device, *, bf16: bool) -> None:
    """Makes a detector's backbone and heads run channels last and, optionally, in bfloat16. The module is changed in place.

    Channels last is faster on CPUs and on GPUs with tensor cores. Anchors, sampling, non-maximum suppression,
    losses and the weights stay float32: this is mixed precision.

    Args:
        module: One of torchvision's detectors or a `FasterRCNN` of ours.
        device: The module's device.
        bf16: Compute convolutions and matrix products in bfloat16. This is faster only with hardware support (AMX, AVX512-BF16,
            tensor cores).
    """
    for part in _heavy_parts(module):
        part.to(memory_format=torch.channels_last)
        part.forward = _accelerated(part.forward, device, bf16)


def _heavy_parts(module: nn.Module) -> list[nn.Module]:
    if not isinstance(module, GeneralizedRCNN):
        return [module.backbone, module.head, *_parts_of_heads(getattr(module, "roi_heads", None))]  # type: ignore[list-item]
    return [module.backbone, module.rpn.head, *_parts_of_heads(module.roi_heads)]


def _parts_of_heads(heads: nn.Module | None) -> list[nn.Module]:
    names = ("pyramid", "box_head", "box_predictor", "mask_head", "mask_predictor", "keypoint_head", "keypoint_predictor")
    return [part for name in names if (part := getattr(heads, name, None)) is not None]


def _accelerated(forward: Callable[..., Any], device: torch.device, bf16: bool) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        arguments = tuple(_channels_last(argument) for argument in arguments)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return _to_contiguous_float(forward(*arguments))

    return run


def _channels_last(value: Any) -> Any:
    return value.contiguous(memory_format=torch.channels_last) if isinstance(value, Tensor) and value.dim() == 4 else value


def _to_contiguous_float(value: Any) -> Any:
    """Converts nested tensors back to contiguous float32."""
    if isinstance(value, Tensor):
        return value.float().contiguous()
    if isinstance(value, dict):
        return type(value)((key, _to_contiguous_float(item)) for key, item in value.items())
    return type(value)(_to_contiguous_float(item) for item in value)
