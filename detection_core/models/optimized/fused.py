"""Fuses activations and the sums of residual blocks into the convolutions before them.

Each of them alone reads and writes a whole feature map, which takes longer than its arithmetic (see `convolution`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.models import mobilenetv2, mobilenetv3
from torchvision.models.resnet import Bottleneck
from torchvision.ops import SqueezeExcitation

from detection_core.models.optimized.convolution import OneDnnConvolution, through_onednn

# oneDNN's names of activations, and their parameters.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, tuple[float, ...]]] = {
    nn.ReLU: ("relu", ()),
    nn.ReLU6: ("hardtanh", (0.0, 6.0)),
    nn.Hardswish: ("hardswish", ()),
    nn.Hardsigmoid: ("hardsigmoid", ()),
}


class FusedBottleneck(Bottleneck):
    """ResNet's `Bottleneck` with folded norms, whose first two convolutions include their activations."""

    conv3: OneDnnConvolution

    def forward(self, x: Tensor) -> Tensor:
        """Computes feature maps [B,C,H,W] from feature maps."""
        identity = x if self.downsample is None else self.downsample(x)
        return self.conv3.plus(self.conv2(self.conv1(x)), identity, "relu")


class FusedInvertedResidualV2(mobilenetv2.InvertedResidual):
    """MobileNetV2's block, whose last convolution has a folded norm and adds the block's input."""

    def forward(self, x: Tensor) -> Tensor:
        """Computes feature maps [B,C,H,W] from feature maps."""
        *before, last, _ = self.conv
        return _with_sum(before, last, x)


class FusedInvertedResidualV3(mobilenetv3.InvertedResidual):
    """MobileNetV3's block, whose last convolution has a folded norm and adds the block's input."""

    def forward(self, input: Tensor) -> Tensor:
        """Computes feature maps [B,C,H,W] from feature maps."""
        *before, (last, _) = self.block
        return _with_sum(before, last, input)


class FusedSqueezeExcitation(SqueezeExcitation):
    """`SqueezeExcitation` whose convolutions include their activations."""

    def forward(self, input: Tensor) -> Tensor:
        """Computes feature maps [B,C,H,W] from feature maps."""
        # Average pooling over the whole map: in 16 bits it takes a third of the time of other means.
        mean = avg_pool2d(input, input.shape[2:])
        scale: Tensor = self.fc2(self.fc1(mean))
        return scale * input


def _with_sum(before: list[nn.Module], last: OneDnnConvolution, maps: Tensor) -> Tensor:
    inner = maps
    for part in before:
        inner = part(inner)
    return last.plus(inner, maps)


def fuse_activations(module: nn.Module) -> None:
    """Fuses convolutions with the operations after them, in place, if this build of torch can; fused modules become identities.

    Args:
        module: A model in evaluation mode on the CPU, in float32 or bfloat16, whose batch norms have been folded.
    """
    for part in list(module.modules()):
        if isinstance(part, nn.Sequential) and type(part).forward is nn.Sequential.forward:
            for conv, name, activation in _pairs(part):
                if _fuse(conv, activation):
                    setattr(part, name, nn.Identity())
        elif type(part) in _BLOCKS:
            faster, is_ready = _BLOCKS[type(part)]
            if is_ready(part):
                part.__class__ = faster


def _pairs(sequence: nn.Sequential) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yields modules with the module after them and its name, skipping folded norms."""
    layers = [(name, layer) for name, layer in sequence.named_children() if type(layer) is not nn.Identity]
    for (_, conv), (name, activation) in pairwise(layers):
        yield conv, name, activation


def _fuse(conv: Any, activation: Any) -> bool:
    """Adds an activation to a convolution; returns whether that was possible."""
    if type(activation) not in _ACTIVATIONS or not through_onednn(conv):
        return False
    conv.activation, conv.numbers = _ACTIVATIONS[type(activation)]
    return True


def _ends_in_convolution(*last: Any) -> bool:
    """Returns whether a block ends in a convolution with a folded norm, and if so, converts it to one that can add."""
    conv, *others = last
    return all(type(norm) is nn.Identity for norm in others) and through_onednn(conv)


def _fuse_bottleneck(block: Any) -> bool:
    folded = all(type(norm) is nn.Identity for norm in (block.bn1, block.bn2))
    return folded and _ends_in_convolution(block.conv3, block.bn3) and _fuse(block.conv1, block.relu) and _fuse(block.conv2, block.relu)


def _fuse_squeeze_excitation(block: Any) -> bool:
    pairs = (block.fc1, block.activation), (block.fc2, block.scale_activation)
    return all(type(activation) in _ACTIVATIONS for _, activation in pairs) and all(_fuse(*pair) for pair in pairs)


# The class that replaces a block, and the function that prepares its parts if possible.
_BLOCKS: dict[type[nn.Module], tuple[type[nn.Module], Callable[[Any], bool]]] = {
    Bottleneck: (FusedBottleneck, _fuse_bottleneck),
    mobilenetv2.InvertedResidual: (
        FusedInvertedResidualV2,
        lambda block: block.use_res_connect and _ends_in_convolution(*block.conv[-2:]),
    ),
    mobilenetv3.InvertedResidual: (
        FusedInvertedResidualV3,
        lambda block: block.use_res_connect and len(block.block[-1]) == 2 and _ends_in_convolution(*block.block[-1]),
    ),
    SqueezeExcitation: (FusedSqueezeExcitation, _fuse_squeeze_excitation),
}
