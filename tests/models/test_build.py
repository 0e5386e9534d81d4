"""Built modules are bit-identical to those of torchvision's builders with the same weights."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace

import pytest
import torch
import torch.hub
from torch import nn
from torchvision.models import get_model

from benchmarks.random_models import random_state
from detection_core.models.build import build_empty, build_model
from detection_core.models.builders import BUILDERS, person_mobilenet_v2_fpn
from detection_core.models.catalog import PERSON_MODEL, Architecture, ModelSpec, get_model_spec, list_models
from detection_core.models.empty import NoRandomInitialization, input_sides, trained_side
from detection_core.models.quantization import dequantize, quantize
from tests.random_models import QUICK_FAMILIES, quick_first, raw_output

SSDLITE = get_model_spec("ssdlite320_mobilenet_v3_large")
TORCHVISION_MODELS = [key for key in list_models() if get_model_spec(key).weights is not None]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty torch.hub cache."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("key", quick_first(TORCHVISION_MODELS, QUICK_FAMILIES))
def test_equals_torchvisions_own(key, hub):
    spec = get_model_spec(key)
    file = hub / spec.file_name
    with NoRandomInitialization():
        structure = build_empty(spec.architecture)
    torch.save(random_state(structure), file)
    with NoRandomInitialization():
        theirs = get_model(key.removesuffix("_legacy"), weights=spec.weights).eval()
    ours = build_model(spec, file)
    file.unlink()
    assert [(name, str(module)) for name, module in ours.named_modules()] == [(name, str(m)) for name, m in theirs.named_modules()]
    found, expected = raw_output(ours), raw_output(theirs)
    assert found.keys() == expected.keys()
    assert len(found["boxes"]) > 0
    assert {name: torch.equal(found[name], expected[name]) for name in found} == dict.fromkeys(found, True)


@pytest.fixture
def ssdlite_state() -> dict[str, torch.Tensor]:
    return random_state(build_empty(SSDLITE.architecture))


def test_ready_for_inference(hub, ssdlite_state):
    torch.save(ssdlite_state, hub / "x.pth")
    module = build_model(SSDLITE, hub / "x.pth")
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_older_file_format(hub, ssdlite_state):
    torch.save(ssdlite_state, hub / "x.pth", _use_new_zipfile_serialization=False)
    module = build_model(SSDLITE, hub / "x.pth")
    assert all(torch.equal(tensor, ssdlite_state[name]) for name, tensor in module.state_dict().items())


def test_embedded_model_is_stored_in_eight_bits(hub):
    module = person_mobilenet_v2_fpn().to(memory_format=torch.channels_last)
    torch.save(quantize(module.state_dict()), hub / "x.pth")
    state = dequantize(quantize(module.state_dict()))
    built = build_model(get_model_spec(PERSON_MODEL), hub / "x.pth")
    assert {tensor.dtype for tensor in built.parameters()} == {torch.float32}
    assert all(torch.equal(tensor, state[name].to(tensor.dtype)) for name, tensor in built.state_dict().items())
    module.load_state_dict(state)
    found, expected = raw_output(built), raw_output(module.eval())
    assert {"boxes", "masks", "keypoints"} < found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def cut_short(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(list(state.items())[:-1])


def of_another_shape(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor[..., :1] if tensor.ndim else tensor for name, tensor in state.items()}


@pytest.mark.parametrize("spoil", [cut_short, of_another_shape])
def test_another_models_weights_are_refused(hub, ssdlite_state, spoil):
    torch.save(spoil(ssdlite_state), hub / "x.pth")
    with pytest.raises(RuntimeError, match="Error"):
        build_model(SSDLITE, hub / "x.pth")


class Dangerous:
    def __reduce__(self):
        return (eval, ("1/0",))


def test_no_code_in_a_file_is_run(hub):
    torch.save({"weight": Dangerous()}, hub / "x.pth")
    with pytest.raises(Exception, match="Weights only load failed"):
        build_model(SSDLITE, hub / "x.pth")


def test_the_callers_random_numbers_are_left_alone(hub, ssdlite_state):
    torch.save(ssdlite_state, hub / "x.pth")
    before = torch.get_rng_state()
    build_model(SSDLITE, hub / "x.pth")
    assert torch.equal(torch.get_rng_state(), before)


def test_skipping_the_initialization_does_not_leak_into_other_threads():
    drawn = torch.zeros(1000)
    with NoRandomInitialization():
        thread = threading.Thread(target=lambda: nn.init.normal_(drawn))
        thread.start()
        thread.join()
        assert torch.equal(nn.init.normal_(torch.zeros(3)), torch.zeros(3))
    assert drawn.any()


def test_every_torchvision_model_is_compared():
    assert len(TORCHVISION_MODELS) == 13
    assert all(isinstance(get_model_spec(key), ModelSpec) for key in TORCHVISION_MODELS)


@pytest.mark.parametrize("key", ["fasterrcnn_mobilenet_v3_large_320_fpn", "person_mobilenet_v2_fpn"])
def test_a_flat_panorama_does_not_decide_how_later_images_are_pooled(key):
    ours = build_empty(get_model_spec(key).architecture).eval()
    torchvisions = copy.deepcopy(ours)
    for pool in pools(torchvisions):
        pool.scales = pool.map_levels = None
    usual = copy.deepcopy(torchvisions)
    with torch.no_grad():
        usual([torch.rand(3, 320, 320)])
        for module in (ours, torchvisions):
            module([torch.rand(3, 12, 500)])
    assert [pool.scales for pool in pools(ours)] == [pool.scales for pool in pools(usual)]
    # If this fails, torchvision has fixed it, and the workaround here can go.
    assert [pool.scales for pool in pools(torchvisions)] != [pool.scales for pool in pools(usual)]


def pools(module):
    heads = module.roi_heads
    return [pool for pool in (heads.box_roi_pool, heads.mask_roi_pool, heads.keypoint_roi_pool) if pool is not None]


@pytest.mark.parametrize(
    ("key", "sides"),
    [
        ("person_mobilenet_v2_fpn", (320, 512)),
        ("fasterrcnn_resnet50_fpn", (800, 1333)),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", (320, 640)),
        ("ssd300_vgg16", (300, None)),
        ("person_mobilenet_v2_fpn@480px", (480, 768)),
        ("fasterrcnn_resnet50_fpn@480px", (480, 800)),
        ("fasterrcnn_mobilenet_v3_large_320_fpn@fast@481px", (481, 962)),
    ],
)
def test_how_large_an_image_is_of_use_is_known_without_weights(key, sides):
    assert input_sides(get_model_spec(key)) == sides


@pytest.mark.slow
def test_the_side_of_the_training_is_that_of_the_built_model():
    own = [Architecture(builder, {"num_classes": 2}) for builder in BUILDERS]
    for architecture in [*(get_model_spec(key).architecture for key in list_models()), *own]:
        spec = replace(SSDLITE, architecture=architecture)
        assert trained_side(architecture) == input_sides(spec)[0], architecture.builder
    assert trained_side(Architecture("fasterrcnn_mobilenet_v2", {"min_size": 500})) == 500
    assert trained_side(Architecture("fasterrcnn_resnet50_fpn", {"min_size": (640, 720)})) == 720
