"""The network computes in numbers of sixteen bits where the machine has instructions for them; everything behind it stays float32.

Weights are stored in sixteen bits: converting them at each call, as autocast does, costs more than half of the gain. What the networks
put out becomes float32 at once, and anchors always are: coordinates of a thousand pixels need more than the eight binary digits that
bfloat16 has. Reference for the numbers: Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training" (2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign

# The parts that are networks, by the names that torchvision's detectors, and ours, give them.
_HEADS = {f"roi_heads.{kind}_{part}" for kind in ("box", "mask", "keypoint") for part in ("head", "predictor")}
_NETWORKS = {"backbone", "head", "rpn.head", "roi_heads.pyramid"} | _HEADS


def sixteen_bits(device: torch.device) -> torch.dtype | None:
    """The numbers of sixteen bits that a device computes faster with than with float32, or None if there are none."""
    if device.type == "cuda":
        return torch.float16
    # Without these instructions oneDNN converts to float32 and back, which is slower than float32.
    tests = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
    has_instructions = device.type == "cpu" and any(test and test() for test in tests)
    return torch.bfloat16 if has_instructions and _onednn_takes_bfloat16() else None


def _onednn_takes_bfloat16() -> bool:
    """Whether oneDNN convolves in bfloat16 at all: it may have been told (by `ONEDNN_MAX_CPU_ISA`) to leave instructions alone."""
    test = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return test is not None and bool(test())


def lower_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Stores a detector's networks in numbers of sixteen bits, in place; its parts must be those of `fast`, which give float32.

    Args:
        module: What `fast.optimize` has made of one of torchvision's detectors.
        dtype: bfloat16 or float16.
    """
    module.transform.dtype = dtype
    for name, part in module.named_modules():
        if name in _NETWORKS:
            part.to(dtype)


class FloatRoIAlign(MultiScaleRoIAlign):
    """`MultiScaleRoIAlign` by torchvision's own kernel, in float32: it wants boxes of the maps' type, and sixteen bits are too few."""

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pools every box from the level of its size, in float32; the result has the maps' type again."""
        dtype = next(iter(x.values())).dtype
        pooled: Tensor = super().forward({name: features.float() for name, features in x.items()}, boxes, image_shapes)
        return pooled.to(dtype)
