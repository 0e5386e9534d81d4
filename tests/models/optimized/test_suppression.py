from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchvision.ops import boxes as box_ops

from detection_core.models.optimized.suppression import best_survivors


def candidates(seed: int, count: int, spread: float, steps: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * spread
    boxes = torch.cat([corners, corners + 5 + 30 * torch.rand(count, 2, generator=generator)], dim=1)
    scores = torch.rand(count, generator=generator)
    return boxes, scores if steps == 0 else (scores * steps).round() / steps, torch.randint(4, (count,), generator=generator)


@given(
    seed=st.integers(0, 2**31),
    count=st.sampled_from([0, 1, 900, 1200, 2500]),
    spread=st.sampled_from([2.0, 60.0, 500.0]),
    most=st.sampled_from([1, 20, 100, 400]),
)
@example(seed=0, count=2500, spread=2.0, most=100)
@settings(max_examples=40)
def test_it_is_torchvisions(seed, count, spread, most):
    boxes, scores, groups = candidates(seed, count, spread)
    expected = box_ops.batched_nms(boxes, scores, groups, 0.7)[:most]
    np.testing.assert_array_equal(best_survivors(boxes, scores, groups, 0.7, most), expected)


@pytest.mark.parametrize("steps", [3, 40])
def test_equal_scores(steps):
    boxes, scores, groups = candidates(0, 2000, 300.0, steps)
    expected = box_ops.batched_nms(boxes, scores, groups, 0.7)[:50]
    np.testing.assert_array_equal(scores[best_survivors(boxes, scores, groups, 0.7, 50)], scores[expected])


def test_only_the_best_are_considered(monkeypatch):
    considered = []
    stock = box_ops.nms
    monkeypatch.setattr(box_ops, "nms", lambda boxes, *rest: considered.append(len(boxes)) or stock(boxes, *rest))
    best_survivors(*candidates(0, 2000, 500.0), 0.7, 50)
    assert considered == [200]
