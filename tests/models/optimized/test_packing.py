from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.random_models import calibrated_module
from detection_core.models.optimized import optimize
from detection_core.models.optimized.convolution import OneDnnConvolution, through_onednn
from detection_core.models.optimized.packing import packed_size
from detection_core.models.residents import size_in_memory


def packing(conv: nn.Conv2d, sizes: int = 1) -> OneDnnConvolution:
    faster = copy.deepcopy(conv).requires_grad_(False)
    assert through_onednn(faster)
    faster.packs = sizes
    return faster


def kept(conv: OneDnnConvolution) -> list[bool]:
    """Of each size that is known, whether there are blocks for it."""
    return [weight is not None for packed in conv._packed.values() for weight in packed.values()]


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.sixteen_bits)], ids=str)
@given(
    seed=st.integers(0, 2**31),
    channels=st.sampled_from([(3, 16), (16, 16), (32, 24), (48, 546)]),
    depthwise=st.booleans(),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    batch=st.integers(1, 2),
    sides=st.lists(st.integers(5, 24), min_size=1, max_size=2),
)
@settings(max_examples=30)
def test_blocks_change_nothing(dtype, seed, channels, depthwise, kernel, stride, batch, sides):
    torch.manual_seed(seed)
    before, after = (channels[0], channels[0]) if depthwise else channels
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=before if depthwise else 1)
    conv = conv.to(dtype, memory_format=torch.channels_last)
    faster = packing(conv)
    # Each size some times, and in turns: blocks are made, used and replaced.
    for side in sides + sides + sides[-1:] * 2 + sides[:1]:
        maps = torch.randn(batch, before, side, side + 3).to(dtype, memory_format=torch.channels_last)
        tolerance = 1e-5 if dtype is torch.float32 else 2e-2
        np.testing.assert_allclose(faster(maps).float(), conv(maps).detach().float(), atol=tolerance, rtol=tolerance)


def test_blocks_are_made_the_second_time_and_as_many_as_allowed():
    faster = packing(nn.Conv2d(4, 4, 3), sizes=2)
    small, large, other = (torch.zeros(1, 4, side, side) for side in (8, 12, 16))
    seen = []
    for maps in (small, large, small, large, large, other, other, small):
        faster(maps)
        seen.append(kept(faster))
    assert seen[:5] == [[False], [False, False], [True, False], [True, True], [True, True]]
    assert seen[5:] == [[True, False], [True, True], [True, False]]


def test_another_number_of_threads_has_its_own_blocks(monkeypatch):
    faster = packing(nn.Conv2d(4, 4, 3))
    maps, others = torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 9, 9)
    seen = []
    for threads, values in ((1, maps), (1, maps), (2, maps), (2, maps), (2, others), (1, maps)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        faster(values)
        seen.append(kept(faster))
    assert seen == [[False], [True], [True, False], [True, True], [True, False], [True, False]]


def test_threads_may_share_a_convolution():
    conv = nn.Conv2d(8, 8, 3)
    faster = packing(conv, sizes=2)
    inputs = [torch.randn(1, 8, 6 + index % 5, 9) for index in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for maps, found in zip(inputs, pool.map(faster, inputs), strict=True):
            np.testing.assert_allclose(found, conv(maps).detach(), atol=1e-5)


def test_parameters_that_repeat_one_number_in_memory():
    conv = nn.Conv2d(8, 24, 3).requires_grad_(False)
    conv.weight, conv.bias = (
        nn.Parameter(torch.tensor(0.5).expand(values.shape), requires_grad=False) for values in (conv.weight, conv.bias)
    )
    maps = torch.randn(1, 8, 9, 9)
    expected = conv(maps)
    assert through_onednn(conv)
    np.testing.assert_allclose(conv(maps), expected, atol=1e-5)


def test_a_plain_convolution_packs_nothing():
    faster = packing(nn.Conv2d(4, 4, 3), sizes=0)
    for _ in range(3):
        faster(torch.zeros(1, 4, 8, 8))
    assert kept(faster) == []


@pytest.mark.parametrize("key", ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn"])
def test_what_detectors_keep_is_counted_before_they_keep_it(key):
    faster = optimize(calibrated_module(key))
    counted = packed_size(faster)
    parameters = sum(values.nbytes for values in [*faster.parameters(), *faster.buffers()])
    assert size_in_memory(faster) == parameters + counted
    image = [torch.rand(3, 96, 128)]
    with torch.inference_mode():
        first, *_, last = [faster(image) for _ in range(3)]
    convolutions = [conv for conv in faster.modules() if isinstance(conv, OneDnnConvolution) and conv.packs]
    # Two levels of a pyramid may have one size.
    assert all(kept(conv) and all(kept(conv)) and len(kept(conv)) <= conv.packs for conv in convolutions)
    packed = sum(conv.packed_bytes for conv in convolutions)
    assert 0.9 * counted <= packed <= 1.3 * counted
    for name, values in first[0].items():
        np.testing.assert_allclose(last[0][name], values, atol=1e-4)
