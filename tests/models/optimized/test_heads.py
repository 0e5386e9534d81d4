from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.random_models import calibrated_module
from detection_core.models.optimized.heads import LazyHeads, heads_with_tasks, own_class
from tests.random_models import quick_first

# Channels of the feature maps.
KEYS = {"maskrcnn_resnet50_fpn": 256, "keypointrcnn_resnet50_fpn": 256, "person_mobilenet_v2_fpn": 128}


def inputs(images: int, channels: int) -> tuple[OrderedDict, list[torch.Tensor], list[tuple[int, int]]]:
    generator = torch.Generator().manual_seed(images)
    maps = OrderedDict((str(level), torch.randn(images, channels, 64 >> level, 64 >> level, generator=generator)) for level in range(4))
    corners = torch.rand(images, 40, 2, generator=generator) * 180
    boxes = torch.cat([corners, corners + 8 + torch.rand(images, 40, 2, generator=generator) * 60], dim=2)
    return maps, list(boxes), [(256, 256)] * images


def both(key: str) -> tuple[nn.Module, LazyHeads]:
    stock = copy.deepcopy(calibrated_module(key).roi_heads)
    for pool in (stock.box_roi_pool, stock.mask_roi_pool, stock.keypoint_roi_pool):
        if pool is not None:
            pool.scales = pool.map_levels = None
    ours = copy.deepcopy(stock)
    ours.__class__ = LazyHeads
    return stock, ours


@pytest.mark.parametrize("images", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("key", quick_first(KEYS, ["person_mobilenet_v2_fpn"]))
def test_results_are_torchvisions(key, images):
    stock, ours = both(key)
    expected, _ = stock(*inputs(images, KEYS[key]))
    found, losses = ours(*inputs(images, KEYS[key]))
    assert losses == {}
    assert len(found[0]["boxes"]) > 3
    for ours_here, stock_here in zip(found, expected, strict=True):
        assert set(ours_here) == set(stock_here)
        for name, values in stock_here.items():
            np.testing.assert_allclose(ours_here[name], values, atol=1e-3 if name.startswith("keypoints") else 1e-5)


@pytest.mark.parametrize("key", quick_first(KEYS, ["person_mobilenet_v2_fpn"]))
@pytest.mark.parametrize("tasks", [["boxes"], ["masks"], ["boxes", "keypoints"]], ids=", ".join)
def test_only_what_is_wanted_is_computed(key, tasks, monkeypatch):
    stock, ours = both(key)
    for task, head in (("masks", ours.mask_head), ("keypoints", ours.keypoint_head)):
        if task not in tasks and head is not None:
            monkeypatch.setattr(head, "forward", None)
    expected, _ = stock(*inputs(1, KEYS[key]))
    (found,), _ = heads_with_tasks(ours, tasks)(*inputs(1, KEYS[key]))
    assert ("masks" in found) == ("masks" in tasks and stock.has_mask())
    assert ("keypoints" in found) == ("keypoints" in tasks and stock.has_keypoint())
    np.testing.assert_allclose(found["boxes"], expected[0]["boxes"], atol=1e-5)


def test_torchvisions_heads_give_all():
    stock, _ = both("maskrcnn_resnet50_fpn")
    assert "masks" in heads_with_tasks(stock, ["boxes"])(*inputs(1, 256))[0][0]


def test_nothing_found():
    stock, ours = both("person_mobilenet_v2_fpn")
    maps, _, sizes = inputs(1, 128)
    nothing = [torch.zeros(0, 4)]
    (found,), _ = ours(maps, nothing, sizes)
    (expected,), _ = stock(maps, nothing, sizes)
    assert {name: values.shape for name, values in found.items()} == {name: values.shape for name, values in expected.items()}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_each_object_has_the_channel_of_its_class(count):
    last = nn.Conv2d(6, 5, 1).requires_grad_(False)
    features = torch.randn(count, 6, 4, 3)
    labels = torch.arange(count) % 5
    expected = last(features)[torch.arange(count), labels][:, None]
    np.testing.assert_allclose(own_class(features.to(memory_format=torch.channels_last), last, labels), expected, atol=1e-5)
