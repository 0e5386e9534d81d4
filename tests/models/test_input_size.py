"""A detector at another input size is torchvision's with that `min_size` and `max_size`; the module that it shares stays as it is."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.distance import distance
from benchmarks.random_models import box_finder, calibrated_module
from detection_core.cli.common import find_spec
from detection_core.detections import Detections
from detection_core.engine import LocalEngine
from detection_core.images.reading import read_image
from detection_core.models.build import build_empty
from detection_core.models.catalog import ASSETS, PERSON_MODEL, Architecture, get_model_spec
from detection_core.models.detector import Detector, run
from detection_core.models.empty import build_on_meta, input_sides
from detection_core.models.families import Family
from detection_core.models.input_size import at_input_size
from detection_core.models.loader import ModelLoader
from detection_core.models.model_key import ModelKey, VariantError
from detection_core.models.optimized import optimize
from detection_core.models.user_models import MODELS_DIR
from tests.machine import NO_INSTRUCTIONS, fast_dtype
from tests.models.optimized.test_assembly import make_image
from tests.random_models import FAMILIES, quick_first
from tests.ui.model_files import put_model, put_skeletons

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SIZE = 352
# What torchvision's builder is called with for the size: 1333/800, 2 and 1.6 times it.
MAX_SIZES = dict.fromkeys([key for key in FAMILIES if not key.startswith("ssd")], 587) | {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 704,
    PERSON_MODEL: 563,
}
QUICK = [PERSON_MODEL]
# In the second, the longer side decides on the scale.
IMAGES = (make_image(200, 150), make_image(300, 90))


@cache
def shared(key: str) -> nn.Module:
    """A module as it was trained, with realistic results and few objects."""
    module = with_few_objects(copy.deepcopy(calibrated_module(key)))
    module.transform = build_on_meta(get_model_spec(key).architecture).eval().transform
    return module


@cache
def torchvisions(key: str) -> nn.Module:
    """What torchvision's builder makes of the size and the same weights."""
    architecture = get_model_spec(key).architecture
    arguments = {**architecture.arguments, "min_size": SIZE, "max_size": MAX_SIZES[key]}
    built = build_empty(Architecture(architecture.builder, arguments)).eval().requires_grad_(False)
    # Assigned, so that weights stay in the memory format in which convolutions read them.
    built.load_state_dict(shared(key).state_dict(), assign=True)
    return with_few_objects(built)


def with_few_objects(module: Any) -> Any:
    box_finder(module).detections_per_img = 10
    if hasattr(module, "rpn"):
        module.rpn._post_nms_top_n["testing"] = 50
    return module


def found_by(module: nn.Module, key: str) -> list[Detections]:
    return [run(module, get_model_spec(key), [image], CPU)[0][0] for image in IMAGES]


def are_equal(first: Detections, second: Detections) -> bool:
    names = ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores")
    pairs = [(getattr(first, name), getattr(second, name)) for name in names]
    return all(other is None if one is None else np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("key", quick_first(MAX_SIZES, QUICK))
def test_detections_are_those_of_torchvisions_builder_at_the_size(key):
    expected = found_by(torchvisions(key), key)
    assert all(len(each) for each in expected)
    sized = at_input_size(shared(key), SIZE)
    assert all(map(are_equal, found_by(sized, key), expected))
    exact = found_by(at_input_size(optimize(shared(key)), SIZE), key)
    assert all(distance(*pair).is_small for pair in zip(exact, expected, strict=True))
    # The module that lent its weights is as it was.
    assert {id(each) for each in sized.parameters()} == {id(each) for each in shared(key).parameters()}
    assert repr(shared(key).transform) == repr(build_on_meta(get_model_spec(key).architecture).transform)


@pytest.mark.skipif(fast_dtype() is None, reason=NO_INSTRUCTIONS)
@pytest.mark.parametrize("key", quick_first(MAX_SIZES, QUICK))
def test_the_fast_precision_is_that_of_torchvisions_builder_at_the_size(key):
    dtype = fast_dtype()
    assert dtype is not None
    sized, built = at_input_size(optimize(shared(key), dtype), SIZE), optimize(torchvisions(key), dtype)
    assert all(map(are_equal, found_by(sized, key), found_by(built, key)))


def test_every_family_that_resizes_is_compared():
    families = {get_model_spec(key).family for key in MAX_SIZES}
    assert families == set(Family) - {Family.SSD, Family.SSDLITE}


@pytest.mark.parametrize("key", [PERSON_MODEL, f"{PERSON_MODEL}@stock", "maskrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn"])
def test_a_size_is_part_of_key_title_and_identity(key):
    spec = get_model_spec(key)
    sized = get_model_spec(f"{key}@480px")
    assert sized == spec.at_input_size(480)
    assert (sized.key, sized.title, sized.input_size) == (f"{key}@480px", f"{spec.title} · 480 px", 480)
    assert sized.facts()["input_size"] == 480
    assert sized.identity != spec.identity
    assert sized.weights_identity == spec.weights_identity
    assert sized.at_input_size(None) == spec
    assert sized.in_precision(spec.precision) == sized
    assert spec.at_input_size(640).at_input_size(480) == sized


def test_a_size_stays_in_another_precision():
    key = ModelKey.parse(f"{PERSON_MODEL}@stock@480px")
    assert get_model_spec(f"{PERSON_MODEL}@480px").in_precision(key.precision) == get_model_spec(str(key))
    assert get_model_spec(str(key)).title == "Person MobileNetV2 FPN (built in) · stock · 480 px"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (f"{PERSON_MODEL}@319px", "must be from 320 to 1333 px, not 319 px"),
        (f"{PERSON_MODEL}@1334px", "must be from 320 to 1333 px, not 1334 px"),
        ("ssd300_vgg16@320px", "SSD300 VGG-16 cannot run at 320 px. SSD models have one input size only: their anchors"),
        ("ssdlite300_mobilenet_v2@fast@480px", "SSDlite models have one input size only"),
        (f"{PERSON_MODEL}@slices127", "Slices have 128 to 4096 pixels"),
        (f"{PERSON_MODEL}@slices4097", "Slices have 128 to 4096 pixels"),
    ],
)
def test_what_a_model_cannot_do_is_reported(key, message):
    with pytest.raises(VariantError, match=message):
        get_model_spec(key)


@pytest.mark.parametrize("size", [320, 1333])
def test_the_bounds_are_sizes(size):
    assert get_model_spec(f"{PERSON_MODEL}@{size}px").input_size == size


def test_the_loader_shares_the_weights_of_all_sizes():
    loader = ModelLoader()
    sized = loader.load(get_model_spec(f"{PERSON_MODEL}@480px"))
    trained = loader.load(get_model_spec(PERSON_MODEL))
    assert sized is loader.load(get_model_spec(f"{PERSON_MODEL}@480px"))
    assert sized is not loader.load(get_model_spec(f"{PERSON_MODEL}@500px"))
    assert (sized.transform.min_size, trained.transform.min_size) == ((480,), (320,))
    assert {id(each) for each in sized.parameters()} == {id(each) for each in trained.parameters()}
    assert [resident.key for resident in loader.resident()] == [PERSON_MODEL]
    assert loader.state(get_model_spec(f"{PERSON_MODEL}@640px")) == "in memory"
    assert loader.unload(f"{PERSON_MODEL}@480px")
    assert not loader.resident()


def test_the_engine_keeps_results_of_sizes_apart_and_knows_that_they_have_one_first_run():
    engine = LocalEngine()
    image = read_image(ASSETS / "examples" / "grace_hopper.jpg")
    specs = [get_model_spec(PERSON_MODEL), get_model_spec(f"{PERSON_MODEL}@480px"), get_model_spec(f"{PERSON_MODEL}@480px")]
    results = [engine.submit(image, spec).result(60) for spec in specs]
    assert [result.first_run for result in results] == [True, False, False]
    assert [result.kept for result in results] == [False, False, True]
    assert not are_equal(results[0].detections, results[1].detections)
    assert engine.run_seconds().keys() == {f"{PERSON_MODEL}@480px"}
    assert engine.run_seconds(first=True).keys() == {PERSON_MODEL, f"{PERSON_MODEL}@480px"}
    engine.close()


@pytest.mark.parametrize("in_folder", [True, False])
def test_users_models_have_sizes_as_their_families_do(tmp_path, monkeypatch, in_folder):
    put_skeletons(tmp_path / "hands.pt")
    put_model(tmp_path / "pets.pt")
    monkeypatch.setenv(MODELS_DIR, str(tmp_path) if in_folder else str(tmp_path / "other"))
    name = "{}" if in_folder else f"{tmp_path}/{{}}.pt"
    spec = find_spec(name.format("hands") + "@480px")
    assert (spec.key, spec.input_size, input_sides(spec)) == ("hands@480px", 480, (480, 768))
    with pytest.raises(VariantError, match="pets cannot run at 480 px"):
        find_spec(name.format("pets"), input_size=480)


def test_results_name_their_size():
    loader = ModelLoader()
    image = make_image(640, 480)
    small, trained, large = (Detector(f"{PERSON_MODEL}{size}", loader=loader).detect(image) for size in ("@320px", "", "@640px"))
    assert [each.model for each in (small, trained, large)] == [f"{PERSON_MODEL}@320px", PERSON_MODEL, f"{PERSON_MODEL}@640px"]
    # That is the size at which it was trained.
    assert are_equal(small, trained)
    assert not are_equal(large, trained)
