from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import mobilenet_v3_small, resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d

from detection_core.models.optimized.folding import fold_norms


def shaken(module: nn.Module) -> nn.Module:
    """Gives every norm numbers of its own; new ones are identities."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d | FrozenBatchNorm2d):
            for values in (norm.weight, norm.bias, norm.running_mean):
                if values is not None:
                    values.data.add_(torch.rand(values.shape, generator=generator) - 0.5)
            norm.running_var.mul_(torch.rand(norm.running_var.shape, generator=generator) + 0.5)
    return module.eval().requires_grad_(False)


def norms_in(module: nn.Module) -> int:
    return sum(isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d) for child in module.modules())


@given(
    norm=st.sampled_from([nn.BatchNorm2d, FrozenBatchNorm2d, lambda channels: nn.BatchNorm2d(channels, affine=False)]),
    bias=st.booleans(),
    groups=st.integers(1, 3),
    width=st.integers(1, 5),
    kernel=st.sampled_from([1, 3]),
)
@settings(max_examples=40)
def test_a_pair_is_one_convolution(norm, bias, groups, width, kernel):
    channels = groups * width
    pair = shaken(nn.Sequential(nn.Conv2d(channels, 2 * channels, kernel, groups=groups, bias=bias), norm(2 * channels), nn.ReLU()))
    images = torch.randn(2, channels, 9, 7)
    expected = pair(images)
    fold_norms(pair)
    assert norms_in(pair) == 0
    np.testing.assert_allclose(pair(images), expected, atol=1e-5)


def test_a_zero_epsilon_is_kept():
    torch.manual_seed(0)
    pair = shaken(nn.Sequential(nn.Conv2d(3, 4, 1), FrozenBatchNorm2d(4, eps=0.0)))
    pair[1].running_var.fill_(1e-8)
    expected = pair(torch.ones(1, 3, 1, 1))
    fold_norms(pair)
    np.testing.assert_allclose(pair(torch.ones(1, 3, 1, 1)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        lambda: mobilenet_v3_small(weights=None).features,
        lambda: IntermediateLayerGetter(resnet18(weights=None), {"layer2": "a", "layer4": "b"}),
        lambda: IntermediateLayerGetter(resnet18(weights=None, norm_layer=FrozenBatchNorm2d), {"relu": "a", "layer4": "b"}),
    ],
    ids=["MobileNet", "ResNet", "frozen ResNet"],
)
def test_all_norms_of_torchvisions_backbones_go(network):
    torch.manual_seed(0)
    stock = shaken(network())
    ours = copy.deepcopy(stock)
    fold_norms(ours)
    assert norms_in(ours) == 0
    images = torch.randn(1, 3, 64, 64)
    expected, found = stock(images), ours(images)
    for ours_here, stock_here in zip(*([maps.values() if isinstance(maps, dict) else [maps] for maps in (found, expected)]), strict=True):
        np.testing.assert_allclose(ours_here, stock_here, atol=1e-4 * float(stock_here.abs().max()))


def test_a_convolution_with_a_hook_stays():
    body = shaken(IntermediateLayerGetter(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), {"0": "raw", "1": "normed"}))
    images = torch.randn(1, 3, 4, 4)
    expected = body(images)
    fold_norms(body)
    for name, values in body(images).items():
        np.testing.assert_array_equal(values, expected[name])


class Crossed(nn.Module):
    """What is registered side by side need not be computed so."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.norm(images))


def test_unknown_modules_stay():
    module = shaken(Crossed())
    images = torch.randn(1, 3, 4, 4)
    expected = module(images)
    fold_norms(module)
    np.testing.assert_array_equal(module(images), expected)
