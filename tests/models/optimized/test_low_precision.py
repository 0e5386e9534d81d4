from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from benchmarks.distance import distance
from benchmarks.random_models import calibrated_module
from detection_core.engine import LocalEngine
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import run
from detection_core.models.loader import ModelLoader
from detection_core.models.optimized import optimize, sixteen_bits
from detection_core.models.optimized.low_precision import FloatRoIAlign
from detection_core.models.weights import WeightsError
from tests.conftest import pytest_report_header, pytest_runtest_setup
from tests.machine import NO_INSTRUCTIONS, fast_dtype
from tests.models.optimized.test_assembly import CPU, KEYS, make_image, optimized, outcome
from tests.models.optimized.test_roi_align import random_rois
from tests.random_models import quick_first

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "key",
    quick_first(KEYS, ["ssdlite300_mobilenet_v2", "person_mobilenet_v2_fpn", "ssdlite320_mobilenet_v3_large"]),
)
def test_only_the_networks_compute_in_other_numbers(key):
    # In more digits instead of fewer, what is found must stay the same.
    (found,), (expected,) = (
        outcome(optimize(calibrated_module(key), torch.float64), key, (200, 150)),
        outcome(optimized(key), key, (200, 150)),
    )
    arrays = (found.boxes, found.scores, found.masks, found.keypoints, found.keypoint_scores)
    assert {array.dtype for array in arrays if array is not None} == {np.dtype(np.float32)}
    apart = distance(found, expected)
    assert apart.is_small, apart


@pytest.mark.sixteen_bits
@pytest.mark.parametrize(("key", "size"), [(COCO_MODEL, (512, 512)), (PERSON_MODEL, (640, 480))])
def test_a_trained_model_finds_the_same(key, size):
    (found,), (expected,) = (
        outcome(optimize(calibrated_module(key), torch.bfloat16), key, size),
        outcome(optimized(key), key, size),
    )
    found, expected = found[found.scores > 0.5], expected[expected.scores > 0.5]
    assert len(found) == len(expected) == 1
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.03)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=5)
    if key == PERSON_MODEL:
        np.testing.assert_allclose(found.keypoints[0, :5], expected.keypoints[0, :5], atol=5)
    assert np.abs(found.masks - expected.masks).mean() < 0.05


def test_networks_are_stored_in_sixteen_bits_and_the_original_is_not_changed():
    original = calibrated_module("maskrcnn_resnet50_fpn")
    module = optimize(original, torch.bfloat16)
    assert {p.dtype for p in module.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in original.parameters()} == {torch.float32}


@pytest.mark.sixteen_bits
@pytest.mark.parametrize(
    "key", ["retinanet_resnet50_fpn", "ssdlite300_mobilenet_v2", "ssdlite320_mobilenet_v3_large", "maskrcnn_resnet50_fpn"]
)
def test_anchors_are_as_exact_as_ever(key):
    module = optimize(calibrated_module(key), torch.bfloat16)
    run(module, get_model_spec(key), [make_image(200, 150)], CPU)
    generator = next(part for part in module.modules() if hasattr(part, "_anchors"))
    assert {anchors.dtype for anchors in generator._anchors.values()} == {torch.float32}


def give_instructions(monkeypatch: pytest.MonkeyPatch, *, amx: bool, avx: bool, onednn: bool) -> None:
    """Makes this CPU one that has these instructions and no others, as far as torch reports."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)


@pytest.mark.parametrize(
    ("amx", "avx", "onednn", "expected"),
    [
        (True, False, True, torch.bfloat16),
        (False, True, True, torch.bfloat16),
        (False, False, True, None),
        (True, True, False, None),
        (False, False, False, None),
    ],
    ids=str,
)
def test_a_cpu_must_have_the_instructions_and_onednn_must_use_them(monkeypatch, amx, avx, onednn, expected):
    give_instructions(monkeypatch, amx=amx, avx=avx, onednn=onednn)
    assert sixteen_bits(CPU) is expected
    # What tests skip is what the product refuses.
    assert fast_dtype() is expected


def test_torch_without_onednn_has_no_fast_precision(monkeypatch):
    give_instructions(monkeypatch, amx=True, avx=True, onednn=True)
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert sixteen_bits(CPU) is None


def test_without_the_instructions_the_product_refuses_with_a_reason_and_its_tests_are_skipped(monkeypatch, request):
    give_instructions(monkeypatch, amx=False, avx=False, onednn=False)
    key = f"{PERSON_MODEL}@fast"
    with pytest.raises(WeightsError, match=r"this CPU has no instructions for numbers of sixteen bits\. Choose the exact precision\."):
        ModelLoader(10**9).load(get_model_spec(key))
    with closing(LocalEngine()) as engine:
        states = engine.model_states()
    assert {PERSON_MODEL, f"{PERSON_MODEL}@stock"} <= states.keys()
    assert key not in states
    request.node.add_marker("sixteen_bits")
    with pytest.raises(pytest.skip.Exception, match=NO_INSTRUCTIONS):
        pytest_runtest_setup(request.node)
    assert NO_INSTRUCTIONS in pytest_report_header()


def test_with_the_instructions_nothing_is_skipped(monkeypatch, request):
    give_instructions(monkeypatch, amx=False, avx=True, onednn=True)
    request.node.add_marker("sixteen_bits")
    pytest_runtest_setup(request.node)
    assert pytest_report_header().endswith("fast precision: bfloat16")


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="only there oneDNN can be made to avoid instructions")
def test_what_needs_the_instructions_is_marked():
    # A CPU that has them hides that a mark is missing, so oneDNN is made to avoid them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    files = [str(file) for file in TESTS.rglob("test_*.py") if "torch.bfloat16" in file.read_text(encoding="utf-8")]
    assert __file__ in files
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, env=environment | {"ONEDNN_MAX_CPU_ISA": "AVX2"}, cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(rf"^SKIPPED .*{NO_INSTRUCTIONS}", done.stdout, re.MULTILINE)


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
