from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import MultiScaleRoIAlign

from benchmarks.distance import distance
from benchmarks.random_models import calibrated_module, image_tensor
from detection_core.detections import Detections
from detection_core.models.catalog import get_model_spec
from detection_core.models.detector import run
from detection_core.models.optimized import optimize
from detection_core.models.optimized.low_precision import FloatRoIAlign
from tests.random_models import FAMILIES, QUICK_FAMILIES, quick_first

CPU = torch.device("cpu")
# The second versions are built of other parts.
KEYS = (*FAMILIES, "fasterrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2")
SIZES = [(200, 150), *(pytest.param(size, marks=pytest.mark.slow) for size in [(16, 16), (17, 90), (151, 33), (1280, 960), (4000, 3000)])]


@cache
def optimized(key: str) -> nn.Module:
    return optimize(calibrated_module(key))


def make_image(width: int, height: int) -> np.ndarray:
    return (image_tensor(width, height) * 255).round().byte().permute(1, 2, 0).numpy()


def outcome(module: nn.Module, key: str, *sizes: tuple[int, int]) -> list[Detections]:
    return run(module, get_model_spec(key), [make_image(*size) for size in sizes], CPU)[0]


@pytest.mark.parametrize("key", quick_first(KEYS, QUICK_FAMILIES))
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_detections_are_torchvisions(key, size):
    (found,), (expected,) = outcome(optimized(key), key, size), outcome(calibrated_module(key), key, size)
    # Nothing is found in the smallest, and random networks find something in all others.
    assert len(expected) > 0 or min(size) <= (16 if get_model_spec(key).source == "torchvision" else 33)
    apart = distance(found, expected)
    assert apart.is_small, apart


@pytest.mark.slow
@pytest.mark.parametrize("key", FAMILIES)
def test_detections_in_twelve_megapixels_are_torchvisions(key):
    # Light ones as they are used: where a model sees 128 px of them, its last digit is magnified twentyfold.
    size = 128 if "resnet50" in key else None
    stock = calibrated_module(key, size)
    (found,), (expected,) = outcome(optimize(stock), key, (4000, 3000)), outcome(stock, key, (4000, 3000))
    apart = distance(found, expected)
    assert apart.is_small, apart


@pytest.mark.parametrize("key", quick_first(FAMILIES, ["ssdlite300_mobilenet_v2", "person_mobilenet_v2_fpn", "retinanet_resnet50_fpn"]))
def test_detections_of_a_batch_are_torchvisions(key):
    sizes = [(200, 150), (90, 120)]
    for found, expected in zip(outcome(optimized(key), key, *sizes), outcome(calibrated_module(key), key, *sizes), strict=True):
        apart = distance(found, expected)
        assert apart.is_small, apart


@pytest.mark.parametrize(
    "key", ["ssdlite300_mobilenet_v2", "person_mobilenet_v2_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"]
)
def test_it_is_called_as_torchvision_says(key):
    image = image_tensor(200, 150)
    with torch.no_grad():
        (found,), (expected,) = optimized(key)([image]), calibrated_module(key)([image])
    assert {name: values.shape for name, values in found.items()} == {name: values.shape for name, values in expected.items()}
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-3)


@pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK_FAMILIES))
def test_the_original_stays_as_it_is(key):
    original = calibrated_module(key)
    before = {name: (values, values.clone(), values.stride()) for name, values in original.state_dict(keep_vars=True).items()}
    kinds = [type(part) for part in original.modules()]
    outcome(optimize(original), key, (64, 48))
    assert [type(part) for part in original.modules()] == kinds
    after = original.state_dict(keep_vars=True)
    assert list(after) == list(before)
    for name, (values, copied, stride) in before.items():
        assert after[name] is values
        assert values.stride() == stride
        assert torch.equal(values, copied)


def test_weights_that_need_no_change_are_shared():
    original = calibrated_module("maskrcnn_resnet50_fpn")
    shared = optimize(original).roi_heads.box_head.fc7.weight
    assert shared.data_ptr() == original.roi_heads.box_head.fc7.weight.data_ptr()


def test_parts_of_others_stay():
    class Own(MultiScaleRoIAlign):
        pass

    module = copy.deepcopy(calibrated_module("fasterrcnn_mobilenet_v3_large_320_fpn"))
    module.roi_heads.box_roi_pool = Own(["0", "1"], 7, 2)
    assert type(optimize(module).roi_heads.box_roi_pool) is Own


def test_an_adaptive_sampling_ratio_keeps_torchvisions_kernel():
    module = copy.deepcopy(calibrated_module("fasterrcnn_mobilenet_v3_large_320_fpn"))
    module.roi_heads.box_roi_pool = MultiScaleRoIAlign(["0", "1"], 7, 0)
    assert type(optimize(module).roi_heads.box_roi_pool) is FloatRoIAlign
