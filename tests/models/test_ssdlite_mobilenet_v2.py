"""SSDlite on MobileNetV2 has TensorFlow's default boxes, and the structure that the stored weights fit."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import pytest
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList

from benchmarks.random_models import random_state
from detection_core.models.instance_ssd import InstanceSSD
from detection_core.models.ssdlite_mobilenet_v2 import ssdlite300_mobilenet_v2

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def model() -> InstanceSSD:
    """Returns a model with random weights; do not change it."""
    module = ssdlite300_mobilenet_v2(num_classes=5, num_keypoints=3)
    random_state(module)
    return module.requires_grad_(False).eval()


def tensorflow_boxes(size: int) -> list[torch.Tensor]:
    """The anchors of each map, XYXY in pixels, as `multiple_grid_anchor_generator.create_ssd_anchors` of TensorFlow's API makes them.

    Those at a place are in its own order: aspect ratios first, and last the square between two scales.
    """
    layers, lowest, highest = 6, 0.2, 0.95
    scales = [lowest + (highest - lowest) * i / (layers - 1) for i in range(layers)] + [1.0]
    maps = []
    for level, side in enumerate((19, 10, 5, 3, 2, 1)):
        shapes = [(scales[level], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)] + [(math.sqrt(scales[level] * scales[level + 1]), 1.0)]
        if level == 0:
            shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        boxes = []
        for y, x, (scale, ratio) in product(range(side), range(side), shapes):
            center_x, center_y = (x + 0.5) / side, (y + 0.5) / side
            width, height = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            boxes.append([center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2])
        maps.append(torch.tensor(boxes) * size)
    return maps


def test_the_default_boxes_are_tensorflows():
    module = model()
    with torch.no_grad():
        maps = module.backbone(torch.zeros(1, 3, 300, 300))
    levels = [maps[name] for name in module.detection_levels]
    assert [level.shape[-1] for level in levels] == [19, 10, 5, 3, 2, 1]
    (found,) = module.anchor_generator(ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)]), levels)
    assert found.shape == (1917, 4)
    expected = tensorflow_boxes(300)
    for ours, theirs in zip(found.split([len(boxes) for boxes in expected]), expected, strict=True):
        at_a_place = 3 if len(ours) == 3 * 19**2 else 6
        # torchvision has the square between two scales second.
        order = [0, 1, 2] if at_a_place == 3 else [0, 5, 1, 2, 3, 4]
        # TensorFlow's 0.3333 is not quite a third.
        torch.testing.assert_close(ours.view(-1, at_a_place, 4), theirs.view(-1, at_a_place, 4)[:, order], rtol=0, atol=0.02)


def test_maps_are_named_by_their_strides():
    with torch.no_grad():
        maps = model().backbone(torch.zeros(1, 3, 300, 300))
    assert {name: math.ceil(300 / int(name)) for name in maps} == {name: features.shape[-1] for name, features in maps.items()}


def test_the_structure_stays():
    """Weights for it are stored in the project: names and shapes must stay."""
    with torch.device("meta"):
        state = ssdlite300_mobilenet_v2().state_dict()
        more = ssdlite300_mobilenet_v2(num_keypoints=17).state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (300, 4_952_952)
    assert not any("running" in name for name in state if name.startswith("backbone"))
    shapes = {
        "backbone.features.0.0.0.weight": (32, 3, 4, 4),
        "backbone.features.3.4.0.weight": (1280, 320, 1, 1),
        "head.classification_head.module_list.0.1.weight": (3 * 91, 576, 1, 1),
        "head.regression_head.module_list.5.1.weight": (6 * 4, 128, 1, 1),
        "roi_heads.mask_predictor.mask_fcn_logits.weight": (1, 64, 1, 1),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert {name.split(".")[1] for name in more.keys() - state.keys()} == {"keypoint_head", "keypoint_predictor"}
    assert more["roi_heads.keypoint_predictor.kps_score_lowres.weight"].shape == (96, 17, 4, 4)


def test_convolutions_of_the_backbone_have_no_norms():
    assert not [part for part in model().backbone.modules() if isinstance(part, nn.BatchNorm2d)]
