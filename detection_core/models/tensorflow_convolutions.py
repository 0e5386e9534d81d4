"""Adapts convolutions to weights of TensorFlow's frozen graphs: norms folded into them, and TensorFlow's padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def as_in_tensorflow(module: nn.Module, side: int) -> None:
    """Adds biases to the convolutions of a network without norms, and TensorFlow's padding to those of stride 2, in place.

    TensorFlow's "SAME" pads an even side only at the right and the bottom before a 3x3 convolution of stride 2, torchvision on all sides:
    the same kernels would be shifted by 1 px up and left, and five such layers add up to 31 px. These kernels therefore become 4x4,
    the 3x3 one after a row and a column of zeros: that is TensorFlow's convolution, and as fast. Both pad an odd side on all sides.

    Args:
        module: Its convolutions are registered in the order in which an image passes them.
        side: Side of the images in pixels.
    """
    for conv in module.modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
        if conv.stride == (2, 2):
            if side % 2 == 0:
                conv.kernel_size = (4, 4)
                conv.weight = nn.Parameter(for_stride_two(conv.weight.detach()))
            side = (side + 1) // 2


def for_stride_two(kernels: Tensor) -> Tensor:
    """Embeds TensorFlow's 3x3 kernels [..., 3, 3] in 4x4 ones, for a convolution of stride 2 on an even side."""
    return nn.functional.pad(kernels, (1, 0, 1, 0))
