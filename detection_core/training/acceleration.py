"""Faster forward and backward passes for a detector's heavy parts, with box arithmetic and losses left as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN


def accelerate(module: nn.Module, device: torch.device, *, bf16: bool) -> None:
    """Runs a detector's backbone and heads channels last and, if asked, in bfloat16. Changed in place.

    Channels last is faster on CPUs and on GPUs with tensor cores. What decides about boxes (anchors, sampling, non-maximum
    suppression, losses) gets float32, and so do the weights: this is mixed precision.

    Args:
        module: One of torchvision's detectors or a `FasterRCNN` of ours.
        device: Where it runs.
        bf16: Compute convolutions and matrix products in bfloat16. Pays where the hardware has it (AMX, AVX512-BF16, tensor cores).
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
            return _plain(forward(*arguments))

    return run


def _channels_last(value: Any) -> Any:
    return value.contiguous(memory_format=torch.channels_last) if isinstance(value, Tensor) and value.dim() == 4 else value


def _plain(value: Any) -> Any:
    """Float32 and row-major again, however nested."""
    if isinstance(value, Tensor):
        return value.float().contiguous()
    if isinstance(value, dict):
        return type(value)((key, _plain(item)) for key, item in value.items())
    return type(value)(_plain(item) for item in value)
