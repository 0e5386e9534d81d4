from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from detection_core.fast.layout import Convolution, put_channels_last
from tests.fast.models import calibrated_module


@given(
    channels=st.integers(1, 8),
    groups=st.integers(1, 3),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    height=st.integers(8, 20),
    width=st.integers(8, 20),
)
@settings(max_examples=60)
def test_a_convolution_is_torchs(channels, groups, kernel, stride, padding, dilation, bias, height, width):
    stock = nn.Conv2d(
        groups * channels, 2 * groups * channels, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias
    ).requires_grad_(False)
    ours = copy.deepcopy(stock)
    put_channels_last(holder := nn.Sequential(ours))
    assert type(holder[0]) is Convolution
    pictures = torch.randn(2, groups * channels, height, width)
    np.testing.assert_allclose(holder(pictures), stock(pictures), atol=1e-5)


@pytest.mark.parametrize(
    "odd", [nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.ConvTranspose2d(2, 2, 2)], ids=["reflecting", "transposed"]
)
def test_others_are_torchs_own(odd):
    holder = nn.Sequential(copy.deepcopy(odd).requires_grad_(False))
    put_channels_last(holder)
    pictures = torch.randn(1, 2, 6, 5)
    np.testing.assert_allclose(holder(pictures), odd(pictures).detach(), atol=1e-6)


@pytest.mark.parametrize("key", ["fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_resnet50_fpn_v2"])
def test_box_heads_take_pixels_in_their_order(key):
    stock = calibrated_module(key).roi_heads
    ours = copy.deepcopy(stock)
    put_channels_last(ours)
    pooled = torch.rand(3, 256, 7, 7)
    expected = stock.box_head(pooled)
    found = ours.box_head(pooled.to(memory_format=torch.channels_last))
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
