"""Runs the network in a 16-bit type if the machine has instructions for it; everything after the network stays float32.

Weights are stored in 16 bits: converting them at each call, as autocast does, costs more than half of the gain. The networks' outputs
are converted to float32 at once, and anchors are always float32: coordinates of a thousand pixels need more than bfloat16's eight
binary digits. Reference for the type: Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training" (2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign

# The names of the network parts in torchvision's detectors and ours.
_HEADS = {f"roi_heads.{kind}_{part}" for kind in ("box", "mask", "keypoint") for part in ("head", "predictor")}
_NETWORKS = {"backbone", "head", "rpn.head", "roi_heads.pyramid"} | _HEADS


def sixteen_bits(device: torch.device) -> torch.dtype | None:
    """Returns the 16-bit type in which a device computes faster than in float32, or None if there is none."""
    if device.type == "cuda":
        return torch.float16
    # Without these instructions oneDNN converts to float32 and back, which is slower than float32.
    tests = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
    has_instructions = device.type == "cpu" and any(test and test() for test in tests)
    return torch.bfloat16 if has_instructions and _onednn_takes_bfloat16() else None


def _onednn_takes_bfloat16() -> bool:
    """Returns whether oneDNN convolves in bfloat16; `ONEDNN_MAX_CPU_ISA` may forbid the instructions."""
    test = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return test is not None and bool(test())


def lower_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Stores a detector's networks in a 16-bit type, in place; its other parts must return float32, as those of this package do.

    Args:
        module: A detector returned by `optimize`.
        dtype: bfloat16 or float16.
    """
    module.transform.dtype = dtype
    for name, part in module.named_modules():
        if name in _NETWORKS:
            part.to(dtype)


class FloatRoIAlign(MultiScaleRoIAlign):
    """`MultiScaleRoIAlign` in float32: torchvision's kernel needs boxes of the maps' type, and 16 bits are too few for them."""

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pools every box from the level of its size, in float32; the result has the maps' type again."""
        dtype = next(iter(x.values())).dtype
        pooled: Tensor = super().forward({name: features.float() for name, features in x.items()}, boxes, image_shapes)
        return pooled.to(dtype)
