from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.random_models import calibrated_module
from detection_core.models.optimized.dense import SparseFCOS, SparseRetinaNet

KINDS = {"fcos_resnet50_fpn": SparseFCOS, "retinanet_resnet50_fpn": SparseRetinaNet}


def head_outputs(key: str, images: int, places: list[int], shift: float, seed: int) -> tuple[dict, list]:
    """Logits around `shift`, and boxes of some pixels, of levels with so many places."""
    generator = torch.Generator().manual_seed(seed)

    def draw(columns: int) -> list[torch.Tensor]:
        return [torch.randn(images, count, columns, generator=generator) for count in places]

    outputs = {"cls_logits": [2 * values + shift for values in draw(91)], "bbox_regression": draw(4)}
    if key.startswith("fcos"):
        outputs["bbox_ctrness"] = draw(1)
    corners = [torch.rand(count, 2, generator=generator) * 80 for count in places]
    anchors = [torch.cat([corner, corner + 20], dim=1) for corner in corners]
    return outputs, [anchors] * images


@pytest.mark.parametrize("key", KINDS)
@given(
    images=st.integers(1, 2),
    places=st.lists(st.integers(0, 60), min_size=1, max_size=3),
    shift=st.sampled_from([-30.0, -9.0, -6.0, 0.0]),
    threshold=st.sampled_from([0.0, 0.05, 0.2, 0.9, 1.0]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_candidates_are_torchvisions(key, images, places, shift, threshold, seed):
    stock = copy.copy(calibrated_module(key))
    stock.score_thresh = threshold
    ours = copy.copy(stock)
    ours.__class__ = KINDS[key]
    outputs, anchors = head_outputs(key, images, places, shift, seed)
    sizes = [(100, 100), (60, 90)][:images]
    expected = stock.postprocess_detections(outputs, anchors, sizes)
    found = ours.postprocess_detections(outputs, anchors, sizes)
    for ours_here, stock_here in zip(found, expected, strict=True):
        for name, values in stock_here.items():
            # Where a number stands in its array decides how it is rounded: the last digit may differ.
            np.testing.assert_allclose(ours_here[name], values, rtol=2e-7)


@pytest.mark.parametrize("key", KINDS)
def test_a_score_right_at_the_threshold_is_torchvisions_decision(key):
    stock = copy.copy(calibrated_module(key))
    ours = copy.copy(stock)
    ours.__class__ = KINDS[key]
    least = stock.score_thresh ** (2 if key.startswith("fcos") else 1)
    logits = torch.full((1, 41, 91), -50.0)
    logits[0, :, 7] = float(np.log(least / (1 - least))) + torch.linspace(-2e-6, 2e-6, 41)
    outputs = {"cls_logits": [logits], "bbox_regression": [torch.zeros(1, 41, 4)], "bbox_ctrness": [torch.full((1, 41, 1), 60.0)]}
    anchors = [[torch.arange(41.0)[:, None] * 30 + torch.tensor([0.0, 0, 20, 20])]]
    (expected,) = stock.postprocess_detections(outputs, anchors, [(2000, 2000)])
    (found,) = ours.postprocess_detections(outputs, anchors, [(2000, 2000)])
    assert 0 < len(expected["scores"]) < 41
    np.testing.assert_array_equal(found["scores"], expected["scores"])
