from __future__ import annotations

import pytest
import torchvision.models.detection
from torchvision.models import get_model_builder, get_model_weights
from torchvision.models import list_models as torchvision_models

from detection_core.catalog import EMBEDDED_MODEL, UnknownModelError, get_spec, list_models

BUILDERS = torchvision_models(module=torchvision.models.detection)
TORCHVISION_KEYS = [key for key in list_models() if key != EMBEDDED_MODEL]


def test_knows_all_weights_of_all_builders():
    known = {get_spec(key).weights for key in TORCHVISION_KEYS}
    assert known == {weights for builder in BUILDERS for weights in get_model_weights(builder)}
    assert len(known) == 13
    assert len(BUILDERS) == 12


def test_keys_are_the_builders_names_and_two_more():
    assert set(list_models()) == {*BUILDERS, "keypointrcnn_resnet50_fpn_legacy", EMBEDDED_MODEL}
    assert list_models()[0] == EMBEDDED_MODEL


@pytest.mark.parametrize("key", TORCHVISION_KEYS)
def test_facts_are_torchvisions(key):
    spec = get_spec(key)
    meta = spec.weights.meta
    assert spec.categories[1:] == tuple(meta["categories"][1:])
    assert spec.categories[0] == "__background__"
    assert spec.metrics == meta["_metrics"]["COCO-val2017"]
    assert (spec.params, spec.gflops, spec.file_size, spec.recipe) == (meta["num_params"], meta["_ops"], meta["_file_size"], meta["recipe"])
    assert spec.url.endswith("/" + spec.file_name)
    assert ("kp_map" in spec.metrics) == ("keypoints" in spec.tasks) == bool(spec.keypoint_names)
    assert ("mask_map" in spec.metrics) == ("masks" in spec.tasks)


@pytest.mark.parametrize(
    "key",
    [
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "retinanet_resnet50_fpn",
        "fcos_resnet50_fpn",
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ],
)
def test_floor_scores_are_the_modules_own(key):
    module = get_model_builder(key)(weights=None, weights_backbone=None)
    own = module.roi_heads.score_thresh if hasattr(module, "roi_heads") else module.score_thresh
    assert get_spec(key).floor_score == pytest.approx(own)


@pytest.mark.parametrize("key", list_models())
def test_every_model_can_be_introduced(key):
    spec = get_spec(key)
    assert spec.best_for.endswith(".")
    assert spec.floor_score <= spec.suggested_threshold <= 1
    assert spec.headline_map[1] > 0
    assert "_" not in spec.title


def test_the_two_keypoint_weights_differ():
    best, legacy = get_spec("keypointrcnn_resnet50_fpn"), get_spec("keypointrcnn_resnet50_fpn_legacy")
    assert best.weights.name == "COCO_V1"
    assert legacy.weights.name == "COCO_LEGACY"
    assert best.url != legacy.url


def test_an_unknown_model_is_told_with_those_there_are():
    with pytest.raises(UnknownModelError, match=r"no model “yolo”.*maskrcnn_resnet50_fpn_v2"):
        get_spec("yolo")
