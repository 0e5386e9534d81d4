from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import mobilenetv2, mobilenetv3
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import SqueezeExcitation

from detection_core.models.optimized.convolution import OneDnnConvolution
from detection_core.models.optimized.folding import fold_norms
from detection_core.models.optimized.fused import (
    FusedBottleneck,
    FusedInvertedResidualV2,
    FusedInvertedResidualV3,
    FusedSqueezeExcitation,
    fuse_activations,
)

ACTIVATIONS = [nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid]


def fused(module: nn.Module) -> nn.Module:
    faster = copy.deepcopy(module).requires_grad_(False)
    fold_norms(faster)
    fuse_activations(faster)
    return faster


@given(
    seed=st.integers(0, 2**31),
    activation=st.sampled_from(ACTIVATIONS),
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.sampled_from([1, 3, 4]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    side=st.integers(8, 24),
    last=st.booleans(),
)
@settings(max_examples=60)
def test_convolution_and_activation_are_torchs(seed, activation, groups, kernel, stride, dilation, bias, side, last):
    torch.manual_seed(seed)
    conv = nn.Conv2d(4, 8, kernel, stride, kernel // 2, dilation, groups, bias)
    module = nn.Sequential(conv, activation(inplace=True)).eval()
    maps = torch.randn(2, 4, side, side + 3) * 4
    if last:
        module, maps = module.to(memory_format=torch.channels_last), maps.to(memory_format=torch.channels_last)
    faster = fused(module)
    assert type(faster[0]) is OneDnnConvolution
    np.testing.assert_allclose(faster(maps), module(maps).detach(), atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("block", [Bottleneck, BasicBlock])
def test_residual_blocks_are_torchvisions(block, stride):
    torch.manual_seed(0)
    channels = 8 * block.expansion
    shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)) if stride > 1 else None
    module = block(channels, 8, stride, shortcut).eval()
    maps = torch.randn(2, channels, 13, 11)
    faster = fused(module)
    assert (type(faster) is FusedBottleneck) == (block is Bottleneck)
    np.testing.assert_allclose(faster(maps), module(maps).detach(), atol=1e-5)


def mobile_block(*, stride: int = 1, squeeze: bool = True, activation: str = "HS") -> nn.Module:
    cnf = mobilenetv3.InvertedResidualConfig(16, 5, 32, 16, squeeze, activation, stride, 1, 1.0)
    return mobilenetv3.InvertedResidual(cnf, nn.BatchNorm2d)


def randomise_norms(module: nn.Module) -> nn.Module:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for values, center in ((norm.running_mean, 0.0), (norm.running_var, 1.0), (norm.weight.data, 1.0), (norm.bias.data, 0.0)):
                values.copy_(center + 0.3 * torch.rand(values.shape))
    return module


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        pytest.param(mobile_block, {FusedInvertedResidualV3, FusedSqueezeExcitation}, id="MobileNetV3"),
        pytest.param(lambda: mobile_block(stride=2, activation="RE"), {FusedSqueezeExcitation}, id="MobileNetV3, no sum"),
        pytest.param(lambda: mobile_block(squeeze=False), {FusedInvertedResidualV3}, id="MobileNetV3, no squeeze"),
        pytest.param(lambda: mobilenetv2.InvertedResidual(16, 16, 1, 6), {FusedInvertedResidualV2}, id="MobileNetV2"),
        pytest.param(lambda: mobilenetv2.InvertedResidual(16, 16, 1, 1), {FusedInvertedResidualV2}, id="MobileNetV2, not widened"),
        pytest.param(lambda: mobilenetv2.InvertedResidual(16, 24, 1, 6), set(), id="MobileNetV2, no sum"),
        pytest.param(lambda: SqueezeExcitation(16, 4, nn.ReLU, nn.Hardsigmoid), {FusedSqueezeExcitation}, id="squeeze"),
    ],
)
def test_mobile_blocks_are_torchvisions(make, kinds, last):
    torch.manual_seed(0)
    module, maps = randomise_norms(make()).eval(), torch.randn(2, 16, 13, 11)
    if last:
        module, maps = module.to(memory_format=torch.channels_last), maps.to(memory_format=torch.channels_last)
    faster = fused(module)
    assert {type(part) for part in faster.modules() if type(part).__name__.startswith("Fused")} == kinds
    np.testing.assert_allclose(faster(maps), module(maps).detach(), atol=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.Sigmoid()),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.ReLU()),
        Bottleneck(16, 4, norm_layer=lambda channels: nn.GroupNorm(2, channels)),
        SqueezeExcitation(4, 2, nn.ReLU, nn.Sigmoid),
        SqueezeExcitation(4, 2, nn.SiLU, nn.Hardsigmoid),
    ],
    ids=[
        "a norm between",
        "another activation",
        "another padding",
        "padding by name",
        "a block with other norms",
        "a squeeze with another scale",
        "a squeeze with another activation",
    ],
)
def test_everything_else_stays(module):
    faster = fused(module.eval())
    kinds = [type(part) for part in module.modules()]
    assert [type(part) for part in faster.modules()] == kinds


def test_builds_without_the_operation_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert type(fused(nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()))[0]) is nn.Conv2d
