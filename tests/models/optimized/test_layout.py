from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.random_models import calibrated_module
from detection_core.models.optimized.layout import put_channels_last


@given(
    channels=st.integers(1, 8),
    groups=st.integers(1, 3),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 2),
    transposed=st.booleans(),
    height=st.integers(8, 20),
    width=st.integers(8, 20),
)
@settings(max_examples=60)
def test_a_convolution_is_the_same(channels, groups, kernel, stride, transposed, height, width):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    stock = kind(groups * channels, 2 * groups * channels, kernel, stride=stride, groups=groups).requires_grad_(False)
    ours = copy.deepcopy(stock)
    put_channels_last(ours)
    images = torch.randn(2, groups * channels, height, width)
    np.testing.assert_allclose(ours(images), stock(images), atol=1e-5)
    assert ours(images.to(memory_format=torch.channels_last)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "key", ["fasterrcnn_mobilenet_v3_large_320_fpn", pytest.param("fasterrcnn_resnet50_fpn_v2", marks=pytest.mark.slow)]
)
def test_box_heads_take_pixels_in_their_order(key):
    stock = calibrated_module(key).roi_heads
    ours = copy.deepcopy(stock)
    put_channels_last(ours)
    pooled = torch.rand(3, 256, 7, 7)
    expected = stock.box_head(pooled)
    found = ours.box_head(pooled.to(memory_format=torch.channels_last))
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
