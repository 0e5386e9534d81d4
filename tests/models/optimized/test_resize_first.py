from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from detection_core.models.optimized.resize_first import ResizeFirst

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
SIDES = st.integers(1, 150)


def compare(transform_arguments: dict, sizes: list[tuple[int, int]]) -> None:
    arguments = {"min_size": 64, "max_size": 100, "image_mean": MEAN, "image_std": STD, **transform_arguments}
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).permute(2, 0, 1) for size in sizes]
    floats = [image.contiguous().float().div(255) for image in images]
    expected, _ = GeneralizedRCNNTransform(**arguments).eval()(floats)
    for batch in (images, floats):
        found, _ = ResizeFirst(**arguments).eval()(list(batch))
        assert found.image_sizes == expected.image_sizes
        # Positions between pixels are rounded on another way: some millionths of a pixel, times a contrast of at most 4.4.
        np.testing.assert_allclose(found.tensors, expected.tensors, atol=1e-4)


@given(sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3))
@settings(max_examples=60)
def test_images_arrive_as_from_torchvision(sizes):
    # Thinner ones would have no pixel left in torchvision, too.
    compare({}, [(max(height, width // 40 + 1), max(width, height // 40 + 1)) for height, width in sizes])


@pytest.mark.parametrize(
    "size", [(1000, 30), (30, 1000), (640, 480), (64, 64), (129, 128), (3000, 2000)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_large_images_lose_rows_before_they_are_converted(size):
    compare({}, [size])


def test_a_fixed_size():
    compare({"fixed_size": (48, 32), "size_divisible": 1}, [(30, 200), (300, 20)])


def test_other_normalization():
    compare({"image_mean": [0.5] * 3, "image_std": [1 / 255.0] * 3}, [(30, 40)])
