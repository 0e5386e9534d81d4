from __future__ import annotations

import json

import pytest
import torch
import torchvision.models.detection
from torchvision.models import get_model_builder, get_model_weights
from torchvision.models import list_models as torchvision_models

from detection_core.catalog import PERSON_MODEL, UnknownModelError, get_spec, list_models

BUILDERS = torchvision_models(module=torchvision.models.detection)
TORCHVISION_KEYS = [key for key in list_models() if key != PERSON_MODEL]


def test_knows_all_weights_of_all_builders():
    known = {get_spec(key).weights for key in TORCHVISION_KEYS}
    assert known == {weights for builder in BUILDERS for weights in get_model_weights(builder)}
    assert len(known) == 13
    assert len(BUILDERS) == 12


def test_keys_are_the_builders_names_and_two_more():
    assert set(list_models()) == {*BUILDERS, "keypointrcnn_resnet50_fpn_legacy", PERSON_MODEL}
    assert list_models()[0] == PERSON_MODEL


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
    with torch.device("meta"):
        module = get_model_builder(key)(weights=None, weights_backbone=None)
    own = module.roi_heads.score_thresh if hasattr(module, "roi_heads") else module.score_thresh
    assert get_spec(key).floor_score == pytest.approx(own)


@pytest.mark.parametrize("key", list_models())
def test_every_model_can_be_introduced(key):
    spec = get_spec(key)
    assert spec.best_for.endswith(".")
    assert spec.floor_score <= spec.suggested_threshold <= 1
    assert spec.metrics["box_map"] > 0
    assert "_" not in spec.title


@pytest.mark.parametrize("key", list_models())
def test_facts_survive_json(key):
    spec = get_spec(key)
    facts = spec.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert {type(value) for value in facts.values()} <= {str, int, float, list, dict}
    own = {"key", "title", "family", "metrics", "metrics_on", "gflops", "params", "floor_score", "suggested_threshold", "best_for"}
    own |= {"recipe", "url", "source", "precision"}
    assert {name: facts[name] for name in own} == {name: getattr(spec, name) for name in own}
    assert facts["file_size_mib"] == spec.file_size
    assert tuple(facts["tasks"]) == spec.tasks
    assert tuple(facts["keypoint_names"]) == spec.keypoint_names
    assert facts.keys() - own == {"file_size_mib", "tasks", "keypoint_names", "categories"}


@pytest.mark.parametrize(
    ("key", "count", "first", "last"),
    [("fcos_resnet50_fpn", 80, "person", "toothbrush"), (PERSON_MODEL, 1, "person", "person")],
    ids=["COCO", "persons"],
)
def test_facts_name_only_what_can_be_found(key, count, first, last):
    categories = get_spec(key).facts()["categories"]
    assert (len(categories), categories[0], categories[-1]) == (count, first, last)


@pytest.mark.parametrize(
    ("claim", "metric", "without"),
    [
        ("best outlines", "mask_map", "nothing"),
        ("best boxes of all", "box_map", "nothing"),
        ("most accurate boxes without masks", "box_map", "masks"),
    ],
)
def test_who_claims_to_be_the_best_is(claim, metric, without):
    specs = [spec for spec in map(get_spec, TORCHVISION_KEYS) if spec.metrics_on == "COCO val2017, 80 classes" and metric in spec.metrics]
    best = max((spec for spec in specs if without not in spec.tasks), key=lambda spec: spec.metrics[metric])
    assert [key for key in list_models() if claim in get_spec(key).best_for] == [best.key]


def test_the_two_keypoint_weights_differ():
    best, legacy = get_spec("keypointrcnn_resnet50_fpn"), get_spec("keypointrcnn_resnet50_fpn_legacy")
    assert best.weights.name == "COCO_V1"
    assert legacy.weights.name == "COCO_LEGACY"
    assert best.url != legacy.url


def test_an_unknown_model_is_told_with_those_there_are():
    with pytest.raises(UnknownModelError, match=r"no model “yolo”.*maskrcnn_resnet50_fpn_v2"):
        get_spec("yolo")
