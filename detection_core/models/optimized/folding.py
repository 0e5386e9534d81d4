"""Folds batch norms into the convolutions before them, which saves a pass over every feature map.

In evaluation mode a batch norm is a scale and a shift per channel, and a convolution can apply both to its output channels at no cost:
W' = W · s and b' = (b - mean) · s + shift with s = weight / sqrt(variance + eps). Reference: Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018), section 3.2; `torch.nn.utils.fusion` does the
same for one pair, but not for frozen norms.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d

_NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
# Modules in which a norm registered right after a convolution is the only consumer of that convolution's output.
_IN_ORDER = (nn.Sequential, IntermediateLayerGetter, BasicBlock, Bottleneck)


@torch.no_grad()
def fold_norms(module: nn.Module) -> None:
    """Folds every batch norm that follows a convolution into it, in place: the norm becomes an identity.

    The convolution gets new parameters; the old ones stay unchanged, so that a module that shares them is not affected.

    Args:
        module: A model in evaluation mode. Norms in modules whose order of computation is unknown stay unchanged.
    """
    for parent in module.modules():
        for conv, name, norm in _pairs(parent):
            scale, shift = _affine(norm)
            bias = shift if conv.bias is None else conv.bias * scale + shift
            conv.weight = nn.Parameter(conv.weight * scale[:, None, None, None], requires_grad=False)
            conv.bias = nn.Parameter(bias, requires_grad=False)
            setattr(parent, name, nn.Identity())


def _pairs(parent: nn.Module) -> Iterator[tuple[nn.Conv2d, str, Any]]:
    if not isinstance(parent, _IN_ORDER):
        return
    taken_out = parent.return_layers if isinstance(parent, IntermediateLayerGetter) else {}
    for (conv_name, conv), (name, norm) in pairwise(parent.named_children()):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, _NORMS) and conv_name not in taken_out:
            yield conv, name, norm


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Converts a norm to a scale and a shift [C], in double precision because tiny variances make large scales."""
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight.double()
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    scale = weight / (variance + norm.eps).sqrt()
    return scale.float(), (bias - mean * scale).float()
