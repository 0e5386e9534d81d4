from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from detection_core.catalog import get_spec
from detection_core.detector import run
from detection_core.fast import optimise, sixteen_bits
from detection_core.fast.low_precision import FloatRoIAlign
from tests.fast.equality import distance
from tests.fast.models import calibrated_module
from tests.fast.test_assembly import CPU, KEYS, optimised, outcome, picture
from tests.fast.test_roi_align import random_rois
from tests.random_models import quick_first


@pytest.mark.parametrize("key", quick_first(KEYS, ["person_mobilenet_v2_fpn", "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"]))
def test_only_the_networks_compute_in_other_numbers(key):
    # In more digits instead of fewer, what is found must stay the same.
    (found,), (expected,) = (
        outcome(optimise(calibrated_module(key), torch.float64), key, (200, 150)),
        outcome(optimised(key), key, (200, 150)),
    )
    arrays = (found.boxes, found.scores, found.masks, found.keypoints, found.keypoint_scores)
    assert {array.dtype for array in arrays if array is not None} == {np.dtype(np.float32)}
    apart = distance(found, expected)
    assert apart.is_small, apart


def test_a_trained_model_finds_the_same():
    key = "person_mobilenet_v2_fpn"
    (found,), (expected,) = (
        outcome(optimise(calibrated_module(key), torch.bfloat16), key, (640, 480)),
        outcome(optimised(key), key, (640, 480)),
    )
    found, expected = found[found.scores > 0.5], expected[expected.scores > 0.5]
    assert len(found) == len(expected) == 1
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.03)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=5)
    np.testing.assert_allclose(found.keypoints[0, :5], expected.keypoints[0, :5], atol=5)
    assert np.abs(found.masks - expected.masks).mean() < 0.05


def test_networks_are_stored_in_sixteen_bits_and_the_original_is_not_changed():
    original = calibrated_module("maskrcnn_resnet50_fpn")
    module = optimise(original, torch.bfloat16)
    assert {p.dtype for p in module.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in original.parameters()} == {torch.float32}


@pytest.mark.parametrize("key", ["retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large", "maskrcnn_resnet50_fpn"])
def test_anchors_are_as_exact_as_ever(key):
    module = optimise(calibrated_module(key), torch.bfloat16)
    run(module, get_spec(key), [picture(200, 150)], CPU)
    generator = next(part for part in module.modules() if hasattr(part, "_anchors"))
    assert {anchors.dtype for anchors in generator._anchors.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("amx", "avx", "expected"), [(True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, None)], ids=str
)
def test_a_cpu_must_have_the_instructions(monkeypatch, amx, avx, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    assert sixteen_bits(torch.device("cpu")) is expected


@pytest.mark.parametrize(("device", "expected"), [("cuda", torch.float16), ("mps", None)])
def test_other_devices_have_their_own(device, expected):
    assert sixteen_bits(torch.device(device)) is expected


def test_pooling_by_torchvisions_kernel_keeps_the_digits_of_boxes():
    generator = torch.Generator().manual_seed(0)
    maps = {"0": torch.randn(1, 8, 128, 96, generator=generator, dtype=torch.float16)}
    boxes, sizes = [random_rois(generator, 20, 1, 384)[:, 1:].clamp(min=0)], [(512, 384)]
    found = FloatRoIAlign(["0"], 7, 2)(maps, boxes, sizes)
    expected = MultiScaleRoIAlign(["0"], 7, 2)({"0": maps["0"].float()}, boxes, sizes)
    assert found.dtype == torch.float16
    assert torch.equal(found, expected.half())
