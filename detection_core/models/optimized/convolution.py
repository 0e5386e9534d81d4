"""Runs convolutions through oneDNN, together with operations on their outputs while these are still in the cache.

torch's own compiler uses the same operation; see "Post-ops" in oneDNN's developer guide. `fused` and `packing` configure it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import Tensor, nn

_OPERATIONS = ("_convolution_pointwise", "_reorder_convolution_weight")


class OneDnnConvolution(nn.Conv2d):
    """`nn.Conv2d` and the activation after it, on the CPU.

    Attributes:
        activation: oneDNN's name of the activation.
        numbers: The activation's parameters.
        packs: The number of input sizes, per number of threads, for which packed weights are cached. A size is packed when it occurs
            for the second time, because packing does not pay for a single image or for sizes that keep changing.
    """

    activation = "none"
    numbers: tuple[float, ...] = ()
    packs = 0
    # By number of threads and size. Threads may share it: it is replaced as a whole, and a lost race costs only time.
    _packed: Mapping[int, Mapping[tuple[int, ...], Tensor | None]] = {}

    def forward(self, input: Tensor) -> Tensor:
        """Applies the convolution and the activation to [B,C,H,W] of the weights' type."""
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            input, self._weight(input), self.bias, *self._arguments(), self.activation, list(self.numbers), ""
        )
        return output

    def plus(self, input: Tensor, other: Tensor, activation: str | None = None) -> Tensor:
        """Adds a tensor to the convolution's output, and then applies the activation, if any."""
        output: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            input, other, self._weight(input), self.bias, *self._arguments(), "add", 1.0, activation, [], ""
        )
        return output

    def _arguments(self) -> tuple[object, ...]:
        return self.padding, self.stride, self.dilation, self.groups

    def _weight(self, input: Tensor) -> Tensor:
        if not self.packs:
            return self.weight
        threads, size = torch.get_num_threads(), tuple(input.shape)
        packed = self._packed.get(threads, {})
        if size not in packed:
            self._packed = {**self._packed, threads: dict([*packed.items(), (size, None)][-self.packs :])}
            return self.weight
        weight = packed[size]
        if weight is None:
            weight = torch.ops.mkldnn._reorder_convolution_weight(self.weight, *self._arguments(), list(size))
            self._packed = {**self._packed, threads: {**packed, size: weight}}
        return weight

    @property
    def packed_bytes(self) -> int:
        """The bytes of packed weights cached now."""
        return sum(weight.nbytes for packed in self._packed.values() for weight in packed.values() if weight is not None)


def through_onednn(conv: nn.Module) -> TypeGuard[OneDnnConvolution]:
    """Turns a convolution into a `OneDnnConvolution` in place, if possible; returns whether it is one now."""
    if type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and _is_available():
        conv.__class__ = OneDnnConvolution
        # The operation ignores strides, and a file may hold an expanded tensor.
        for name, values in list(conv.named_parameters()):
            if not values.is_contiguous(memory_format=torch.channels_last if values.dim() == 4 else torch.contiguous_format):
                setattr(conv, name, nn.Parameter(values.detach().contiguous(), requires_grad=False))
    return type(conv) is OneDnnConvolution


def _is_available() -> bool:
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS)
