from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from detection_core.models.optimized.anchors import CachedAnchors, CachedDefaultBoxes

PAIRS = [
    (AnchorGenerator, CachedAnchors, (((8, 16), (32, 64)), ((0.5, 1.0),) * 2)),
    (DefaultBoxGenerator, CachedDefaultBoxes, ([[2], [2, 3]],)),
]


def inputs(height: int, width: int, images: int = 1) -> tuple[ImageList, list[torch.Tensor]]:
    batch = ImageList(torch.zeros(images, 3, height, width), [(height - 3, width)] * images)
    return batch, [torch.zeros(images, 1, height // stride, width // stride) for stride in (8, 16)]


@pytest.mark.parametrize(("stock", "ours", "arguments"), PAIRS, ids=["anchors", "default boxes"])
def test_anchors_are_torchvisions_whatever_came_before(stock, ours, arguments):
    kept = ours(*arguments)
    sizes = [(64, 96), (96, 64), (32, 32), (64, 64), (160, 64), (64, 96), (96, 96)]
    for images, (height, width) in enumerate(sizes * 2):
        found = kept(*inputs(height, width, images % 2 + 1))
        expected = stock(*arguments)(*inputs(height, width, images % 2 + 1))
        assert len(found) == len(expected)
        for ours_here, stock_here in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours_here, stock_here)


@pytest.mark.parametrize(("stock", "ours", "arguments"), PAIRS, ids=["anchors", "default boxes"])
def test_the_same_shape_costs_nothing(stock, ours, arguments):
    kept = ours(*arguments)
    (first,), (again,) = kept(*inputs(64, 96)), kept(*inputs(64, 96))
    assert again is first


@pytest.mark.parametrize(("stock", "ours", "arguments"), PAIRS, ids=["anchors", "default boxes"])
def test_few_shapes_are_kept(stock, ours, arguments):
    kept = ours(*arguments)
    (first,) = kept(*inputs(64, 96))
    for side in range(32, 32 * 6, 32):
        kept(*inputs(side, side))
    assert kept(*inputs(64, 96))[0] is not first
