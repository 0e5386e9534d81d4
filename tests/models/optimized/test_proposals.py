from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from benchmarks.random_models import calibrated_module
from detection_core.models.optimized.proposals import BestFirstProposals


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("most", [3, 50, 100_000])
def test_proposals_are_torchvisions(images, most):
    stock = copy.deepcopy(calibrated_module("maskrcnn_resnet50_fpn").rpn)
    stock._pre_nms_top_n = {"training": 1, "testing": most}
    ours = copy.deepcopy(stock)
    ours.__class__ = BestFirstProposals
    generator = torch.Generator().manual_seed(most)
    maps = {str(level): torch.randn(images, 256, 32 >> level, 48 >> level, generator=generator) for level in range(5)}
    batch = ImageList(torch.zeros(images, 3, 128, 192), [(128, 192), (100, 180)][:images])
    expected, _ = stock(batch, maps)
    found, losses = ours(batch, maps)
    assert losses == {}
    assert [len(boxes) for boxes in found] == [len(boxes) for boxes in expected]
    for ours_here, stock_here in zip(found, expected, strict=True):
        assert len(ours_here) > 2
        np.testing.assert_allclose(ours_here, stock_here, atol=1e-4)
