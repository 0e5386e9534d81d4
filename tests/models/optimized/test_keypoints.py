from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints as stock

from detection_core.models.optimized.keypoints import heatmaps_to_keypoints


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 4),
    keypoints=st.integers(1, 17),
    side=st.sampled_from([(56, 56), (28, 40), (7, 7)]),
    largest=st.sampled_from([0.5, 3.0, 40.0, 300.0]),
)
@example(seed=0, count=1, keypoints=17, side=(56, 56), largest=1500.0)
@settings(max_examples=40)
def test_it_is_torchvisions(seed, count, keypoints, side, largest):
    generator = torch.Generator().manual_seed(seed)
    # Rough enough that no two pixels are equally high.
    maps = 5 * torch.randn(count, keypoints, *side, generator=generator)
    corners = torch.rand(count, 2, generator=generator) * 100
    boxes = torch.cat([corners, corners + torch.rand(count, 2, generator=generator) * largest], dim=1)
    points, scores = heatmaps_to_keypoints(maps, boxes)
    expected_points, expected_scores = stock(maps, boxes)
    assert points.shape == expected_points.shape
    np.testing.assert_allclose(scores, expected_scores, atol=1e-4)
    np.testing.assert_allclose(points, expected_points, atol=1e-3)


def test_large_boxes_are_done_in_pieces():
    maps = torch.zeros(1, 2, 56, 56)
    maps[0, 0, 50, 5] = maps[0, 1, 3, 40] = 1
    boxes = torch.tensor([[10.0, 20, 1410, 1420]])
    points, scores = heatmaps_to_keypoints(maps, boxes)
    expected, expected_scores = stock(maps, boxes)
    np.testing.assert_allclose(points, expected, atol=1e-3)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
