"""Activations, and the sums at the ends of residual blocks, become part of the convolutions before them.

Each by itself reads and writes a whole feature map, which takes longer than its arithmetic; oneDNN applies it to a convolution's numbers
while they are still in the cache. The operation is the one that torch's own compiler uses; see "Post-ops" in oneDNN's developer guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

_OPERATION = "_convolution_pointwise"
# oneDNN's names, and the numbers that come with them.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.Hardswish: ("hardswish", []),
}


class FusedConvolution(nn.Conv2d):
    """`nn.Conv2d` and the activation behind it, on the CPU.

    Attributes:
        activation: oneDNN's name of it.
        numbers: What comes with it.
    """

    activation: str
    numbers: list[float]

    def forward(self, input: Tensor) -> Tensor:
        """Takes [B,C,H,W] of the weights' type, and gives what convolution and activation would."""
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(input, *_arguments(self), self.activation, self.numbers, "")
        return fused


class FusedBottleneck(Bottleneck):
    """`Bottleneck` whose norms have been folded and whose first two convolutions have their activation."""

    def forward(self, x: Tensor) -> Tensor:
        """Takes and gives feature maps [B,C,H,W]."""
        identity = x if self.downsample is None else self.downsample(x)
        inner = self.conv2(self.conv1(x))
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(inner, identity, *_arguments(self.conv3), "add", 1.0, "relu", [], "")
        return fused


def _arguments(conv: nn.Conv2d) -> tuple[Any, ...]:
    return conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups


def fuse_activations(module: nn.Module) -> None:
    """Fuses convolutions with what follows them, in place, where this build of torch can: what was fused becomes an identity.

    Args:
        module: A model in evaluation mode on the CPU, in float32 or bfloat16, whose batch norms have been folded.
    """
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, _OPERATION):
        return
    for part in list(module.modules()):
        if isinstance(part, nn.Sequential) and type(part).forward is nn.Sequential.forward:
            for conv, name, activation in _pairs(part):
                _fuse(conv, activation)
                setattr(part, name, nn.Identity())
        elif type(part) is Bottleneck and all(type(norm) is nn.Identity for norm in (part.bn1, part.bn2, part.bn3)):
            _fuse(cast(nn.Conv2d, part.conv1), cast(nn.Module, part.relu))
            _fuse(cast(nn.Conv2d, part.conv2), cast(nn.Module, part.relu))
            part.__class__ = FusedBottleneck


def _pairs(sequence: nn.Sequential) -> Iterator[tuple[nn.Conv2d, str, nn.Module]]:
    """Convolutions with the activation behind them, and its name; folded norms may lie between."""
    layers = [(name, layer) for name, layer in sequence.named_children() if type(layer) is not nn.Identity]
    for (_, conv), (name, activation) in pairwise(layers):
        if type(activation) in _ACTIVATIONS and type(conv) is nn.Conv2d and _pads_with_zeros(conv):
            yield conv, name, activation


def _pads_with_zeros(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _fuse(conv: nn.Conv2d, activation: nn.Module) -> None:
    conv.__class__ = FusedConvolution
    conv.activation, conv.numbers = _ACTIVATIONS[type(activation)]  # type: ignore[assignment]
