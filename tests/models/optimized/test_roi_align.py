from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops import roi_align as stock_roi_align

from detection_core.models.optimized.roi_align import GatherRoIAlign, roi_align


def random_rois(generator: torch.Generator, count: int, images: int, side: float) -> torch.Tensor:
    """Boxes of all sizes, some empty, some partly or wholly outside."""
    corners = torch.rand(count, 2, generator=generator) * side * 1.5 - side * 0.25
    sides = torch.rand(count, 2, generator=generator) ** 3 * side
    image = torch.randint(images, (count, 1), generator=generator)
    return torch.cat([image, corners, corners + sides], dim=1)


@given(
    seed=st.integers(0, 2**31),
    images=st.integers(1, 3),
    channels=st.integers(1, 20),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    count=st.integers(0, 20),
    output=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    scale=st.sampled_from([1.0, 0.5, 0.25, 1 / 32]),
    ratio=st.integers(1, 3),
)
@settings(max_examples=60)
def test_it_is_torchvisions(seed, images, channels, height, width, count, output, scale, ratio):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, channels, height, width, generator=generator)
    rois = random_rois(generator, count, images, max(height, width) / scale)
    expected = stock_roi_align(features, rois, output, scale, ratio)
    for given_features in (features, features.to(memory_format=torch.channels_last)):
        found = roi_align([given_features], rois, torch.zeros(count, dtype=torch.long), output, [scale], ratio)
        assert found.shape == expected.shape
        # Sums of numbers around one, in another order.
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("output", [7, 14])
@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("counts", [(30,), (12, 0), (0,)], ids=["one image", "two images", "no box"])
def test_each_box_comes_from_the_level_of_its_size(output, levels, counts):
    generator = torch.Generator().manual_seed(levels)
    names = [str(level) for level in range(levels)]
    maps = OrderedDict(
        (name, torch.randn(len(counts), 8, 64 >> level, 96 >> level, generator=generator)) for level, name in enumerate(names)
    )
    maps["pool"] = torch.randn(len(counts), 8, 2, 3, generator=generator)
    boxes = [random_rois(generator, count, 1, 384)[:, 1:].clamp(min=0) for count in counts]
    sizes = [(256, 384)] * len(counts)
    stock = MultiScaleRoIAlign(names, output, 2)
    ours = GatherRoIAlign(names, output, 2)
    found = ours(maps, boxes, sizes)
    assert found.shape == (sum(counts), 8, output, output)
    np.testing.assert_allclose(found, stock(maps, boxes, sizes), atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)
