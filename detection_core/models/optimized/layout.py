"""Runs convolutions in channels-last memory format.

With the channels of a pixel side by side, oneDNN's convolutions need not gather them, depthwise ones take half the time, and a pixel's
features can be read as one row (see `roi_align`). Reference: PyTorch's tutorial "Channels Last Memory Format in PyTorch".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads


class PixelMajorHead(TwoMLPHead):
    """`TwoMLPHead` whose first layer has its weights in channels-last order, so that flattening copies nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps pooled features [N,C,P,P] to [N, representation size]."""
        hidden: Tensor = super().forward(x.permute(0, 2, 3, 1))
        return hidden


class PixelMajorFlatten(nn.Flatten):
    """`nn.Flatten` of [N,C,H,W] in channels-last order."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns [N, H·W·C]."""
        return super().forward(input.permute(0, 2, 3, 1))


def put_channels_last(module: nn.Module) -> None:
    """Converts the weights of all convolutions to channels last, in place, and reorders those of layers after a flattening."""
    module.to(memory_format=torch.channels_last)
    for child in list(module.modules()):
        if isinstance(child, RoIHeads):
            _turn_flattening(child)


def _turn_flattening(heads: RoIHeads) -> None:
    pixels = heads.box_roi_pool.output_size[0] * heads.box_roi_pool.output_size[1]
    head = heads.box_head
    if type(head) is TwoMLPHead:
        head.__class__ = PixelMajorHead
        _turn_columns(head.fc6, pixels)
    elif type(head) is FastRCNNConvFCHead:
        position = next(index for index, layer in enumerate(head) if isinstance(layer, nn.Flatten))
        head[position] = PixelMajorFlatten()
        _turn_columns(head[position + 1], pixels)


def _turn_columns(linear: nn.Linear, pixels: int) -> None:
    """Reorders the inputs of a layer from channel-major to pixel-major."""
    weight = linear.weight.unflatten(1, (-1, pixels)).transpose(1, 2).flatten(1)
    linear.weight = nn.Parameter(weight, requires_grad=False)
