"""Stores weights at a quarter of their size: 8-bit integers with a scale per output channel, converted back to float32 on loading."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_SCALE = ".int8_scale"
# Smaller channels (norms, biases, depthwise kernels) take little space, and rounding them would change results.
_LEAST_WEIGHTS_A_CHANNEL = 64


def quantize(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rounds large weights to 8 bits, symmetric around zero, and the other floats to float16.

    Args:
        state: A state dict in float32. The first dimension of a weight counts its output channels.

    Returns:
        The state under the same names, plus a scale for each rounded weight, float32 [channels].
    """
    small: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            small[name] = value
        elif value.dim() < 2 or value[0].numel() < _LEAST_WEIGHTS_A_CHANNEL:
            small[name] = value.half()
        else:
            rows = value.reshape(len(value), -1).float()
            scale = rows.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
            small[name] = (rows / scale[:, None]).round().to(torch.int8).reshape(value.shape)
            small[name + _SCALE] = scale
    return small


def dequantize(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reverses `quantize` except for its rounding; floating-point values become float32 and other values stay unchanged."""
    full = {}
    for name, value in state.items():
        scale = state.get(name + _SCALE)
        if scale is not None:
            full[name] = value.float() * scale.reshape(-1, *[1] * (value.dim() - 1))
        elif not name.endswith(_SCALE):
            full[name] = value.float() if value.is_floating_point() else value
    return full
