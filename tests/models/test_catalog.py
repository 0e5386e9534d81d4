from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torchvision.models.detection
from torchvision.models import get_model_builder, get_model_weights
from torchvision.models import list_models as torchvision_models
from torchvision.models._api import BUILTIN_MODELS, Weights, WeightsEnum
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights, KeypointRCNN_ResNet50_FPN_Weights
from torchvision.transforms._presets import ObjectDetection

from detection_core.models import catalog
from detection_core.models import empty as structure
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, Family, UnknownModelError, get_model_spec, list_models, list_specs
from detection_core.ui.components.model_picker import card

BUILDERS = torchvision_models(module=torchvision.models.detection)
TORCHVISION_KEYS = [key for key in list_models() if key not in {COCO_MODEL, PERSON_MODEL}]


def test_knows_all_weights_of_all_builders():
    known = {get_model_spec(key).weights for key in TORCHVISION_KEYS}
    assert known == {weights for builder in BUILDERS for weights in get_model_weights(builder)}
    assert len(known) == 13
    assert len(BUILDERS) == 12


def test_keys_are_the_builders_names_and_three_more():
    assert set(list_models()) == {*BUILDERS, "keypointrcnn_resnet50_fpn_legacy", COCO_MODEL, PERSON_MODEL}
    assert list_models()[:2] == [COCO_MODEL, PERSON_MODEL]


@pytest.mark.parametrize("key", [COCO_MODEL, PERSON_MODEL])
def test_facts_of_built_in_models_are_their_modules(key):
    spec = get_model_spec(key)
    module = structure.build_on_meta(spec.architecture)
    heads = module.roi_heads
    pools = {"masks": heads.mask_roi_pool, "keypoints": heads.keypoint_roi_pool}
    assert spec.tasks == ("boxes", *(task for task, pool in pools.items() if pool is not None))
    assert bool(spec.keypoint_names) == ("keypoints" in spec.tasks)
    assert spec.params == sum(parameter.numel() for parameter in module.parameters())
    assert (spec.source, spec.file_name, spec.url, spec.weights) == ("embedded", f"{key}.pth", "", None)


@pytest.mark.parametrize("key", TORCHVISION_KEYS)
def test_facts_are_torchvisions(key):
    spec = get_model_spec(key)
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
        COCO_MODEL,
        PERSON_MODEL,
        "fasterrcnn_mobilenet_v3_large_320_fpn",
        "retinanet_resnet50_fpn",
        "fcos_resnet50_fpn",
        "ssd300_vgg16",
        "ssdlite320_mobilenet_v3_large",
    ],
)
def test_floor_scores_are_the_modules_own(key):
    module = structure.build_on_meta(get_model_spec(key).architecture)
    own = module.score_thresh if hasattr(module, "score_thresh") else module.roi_heads.score_thresh
    assert get_model_spec(key).min_score == pytest.approx(own)


@pytest.mark.parametrize("key", list_models())
def test_every_model_can_be_introduced(key):
    spec = get_model_spec(key)
    assert spec.best_for.endswith(".")
    assert spec.min_score <= spec.default_threshold <= 1
    assert spec.metrics["box_map"] > 0
    assert "_" not in spec.title


@pytest.mark.parametrize("key", list_models())
def test_facts_survive_json(key):
    spec = get_model_spec(key)
    facts = spec.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert {type(value) for value in facts.values()} <= {str, int, float, list, dict, type(None)}
    own = {"key", "title", "family", "metrics", "metrics_on", "gflops", "params", "min_score", "default_threshold", "best_for"}
    own |= {"recipe", "url", "source", "precision", "input_size"}
    assert {name: facts[name] for name in own} == {name: getattr(spec, name) for name in own}
    assert facts["file_size_mib"] == spec.file_size
    assert tuple(facts["tasks"]) == spec.tasks
    assert tuple(facts["keypoint_names"]) == spec.keypoint_names
    assert facts.keys() - own == {"file_size_mib", "tasks", "keypoint_names", "categories", "input_sizes"}


@pytest.mark.parametrize(
    ("key", "count", "first", "last"),
    [
        ("fcos_resnet50_fpn", 80, "person", "toothbrush"),
        (COCO_MODEL, 80, "person", "toothbrush"),
        (PERSON_MODEL, 1, "person", "person"),
    ],
)
def test_facts_name_only_what_can_be_found(key, count, first, last):
    categories = get_model_spec(key).facts()["categories"]
    assert (len(categories), categories[0], categories[-1]) == (count, first, last)


@pytest.mark.parametrize(
    ("claim", "metric", "without"),
    [
        ("best masks", "mask_map", "nothing"),
        ("best boxes of all", "box_map", "nothing"),
        ("most accurate boxes without masks", "box_map", "masks"),
    ],
)
def test_a_model_described_as_the_best_is(claim, metric, without):
    specs = [
        spec for spec in map(get_model_spec, TORCHVISION_KEYS) if spec.metrics_on == "COCO val2017, 80 classes" and metric in spec.metrics
    ]
    best = max((spec for spec in specs if without not in spec.tasks), key=lambda spec: spec.metrics[metric])
    assert [key for key in list_models() if claim in get_model_spec(key).best_for] == [best.key]


def test_the_two_keypoint_weights_differ():
    best, legacy = get_model_spec("keypointrcnn_resnet50_fpn"), get_model_spec("keypointrcnn_resnet50_fpn_legacy")
    assert best.weights.name == "COCO_V1"
    assert legacy.weights.name == "COCO_LEGACY"
    assert best.url != legacy.url


def test_an_unknown_model_is_reported_with_those_that_exist():
    with pytest.raises(UnknownModelError, match=r"no model “yolo”.*maskrcnn_resnet50_fpn_v2"):
        get_model_spec("yolo")
    with pytest.raises(UnknownModelError, match=r"no model “x\\nx{,300}”"):
        get_model_spec("x\n" + "x" * 20_000)


class TestLaterTorchvision:
    """Builders and weights that torchvision has not got yet."""

    ADDRESS = "https://download.pytorch.org/models/"
    META = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta

    @pytest.fixture
    def bring(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Registers a builder as torchvision does; its weights by name, each with what it says of itself."""

        def register(name: str, members: dict[str, dict[str, Any]] | None, *, builds_like: str = "fasterrcnn_resnet50_fpn") -> None:
            def builder(*, weights: Any = None, **arguments: Any) -> torch.nn.Module:
                return get_model_builder(builds_like)(weights=weights, **arguments)

            builder.__module__ = "torchvision.models.detection.new"
            parameter = inspect.Parameter("weights", inspect.Parameter.KEYWORD_ONLY, default=None)
            if members is not None:
                content = {
                    member: Weights(f"{self.ADDRESS}{member}-0a1b2c3d.pth", ObjectDetection, meta) for member, meta in members.items()
                }
                parameter = parameter.replace(annotation=WeightsEnum("NewWeights", content) | None)
            builder.__signature__ = inspect.Signature([parameter])
            monkeypatch.setitem(BUILTIN_MODELS, name, builder)
            monkeypatch.setattr(structure, "TORCHVISION_BUILDERS", structure.TORCHVISION_BUILDERS | {name})
            monkeypatch.setattr(catalog, "_built_in", cache(catalog._built_in.__wrapped__))

        return register

    def test_a_builder_of_a_known_family_is_listed_with_what_its_weights_say(self, bring):
        before = list_specs()
        bring("maskrcnn_resnet101_fpn", {"COCO_V1": self.META | {"_ops": 7.5, "num_params": 123}})
        spec = get_model_spec("maskrcnn_resnet101_fpn")
        assert (spec.family, spec.tasks, spec.gflops, spec.params) == (Family.MASK_RCNN, ("boxes", "masks"), 7.5, 123)
        assert spec.title == "Mask R-CNN resnet101 FPN"
        assert spec.best_for == "One more Mask R-CNN, which this version of torchvision has brought along."
        assert (spec.url, spec.file_name) == (f"{self.ADDRESS}COCO_V1-0a1b2c3d.pth", "COCO_V1-0a1b2c3d.pth")
        assert [other for other in list_specs() if other != spec] == before

    @pytest.mark.parametrize(
        ("name", "members", "why"),
        [
            ("detr_resnet50", {"COCO_V1": META}, "no known family of detectors"),
            ("ssdultra_resnet50", {"COCO_V1": META}, "no known family of detectors"),
            ("fasterrcnn", {"COCO_V1": META}, "no known family of detectors"),
            ("fasterrcnn_new", {"COCO_V1": {}}, "categories"),
            ("keypointrcnn_new", {"COCO_V1": META}, "does not name its keypoints"),
            ("fasterrcnn_new", None, "WeightsEnum"),
        ],
        ids=["family", "a longer word", "no backbone", "classes", "keypoints", "weights"],
    )
    def test_what_cannot_be_known_is_left_out_and_logged(self, bring, caplog, name, members, why):
        before = list_specs()
        bring(name, members)
        with caplog.at_level(logging.WARNING, logger="detection_core.models.catalog"):
            assert list_specs() == before
        [message] = caplog.messages
        assert name in message
        assert why in message

    def test_facts_that_are_not_given_are_counted_or_missing(self, bring):
        bring("fasterrcnn_new", {"COCO_V1": {"categories": self.META["categories"]}})
        spec = get_model_spec("fasterrcnn_new")
        # Batch norms are not frozen yet in a builder that is not known.
        assert spec.params == pytest.approx(self.META["num_params"], rel=0.01)
        assert (spec.gflops, spec.metrics, spec.metrics_on, spec.recipe) == (None, {}, "", "")
        assert spec.file_size == pytest.approx(self.META["_file_size"], rel=0.01)
        assert card(spec)["facts"] == [("Parameters", "41.8 M"), ("File", "167 MB")]

    @pytest.mark.parametrize("metrics", [None, {}, {"LVIS": {"box_map": 1.0}}, {"COCO-val2017": {"new_map": 1.0}}], ids=str)
    def test_figures_of_another_kind_are_not_taken_for_cocos(self, bring, metrics):
        bring("fasterrcnn_new", {"COCO_V1": self.META | {"_metrics": metrics}})
        spec = get_model_spec("fasterrcnn_new")
        assert (spec.metrics, spec.metrics_on) == ({}, "")

    def test_more_weights_of_a_known_builder_do_not_take_the_place_of_those_there_were(self, bring):
        before = {key: get_model_spec(key) for key in list_models()}
        keypoints = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.meta
        bring(
            "keypointrcnn_resnet50_fpn",
            dict.fromkeys(("COCO_LEGACY", "COCO_V1", "COCO_V2"), keypoints),
            builds_like="keypointrcnn_resnet50_fpn",
        )
        assert set(list_models()) == {*before, "keypointrcnn_resnet50_fpn_coco_v2"}
        usual, new, legacy = (get_model_spec("keypointrcnn_resnet50_fpn" + end) for end in ("", "_coco_v2", "_legacy"))
        assert [spec.weights.name for spec in (usual, new, legacy)] == ["COCO_V1", "COCO_V2", "COCO_LEGACY"]
        assert (usual.title, new.title) == (before[usual.key].title, before[usual.key].title + " (COCO V2)")
        # Only the first weights were trained with another epsilon.
        assert [spec.architecture.arguments["frozen_norm_epsilon"] for spec in (usual, new, legacy)] == [0.0, 1e-5, 1e-5]

    def test_one_weights_fault_is_not_the_others(self, bring, caplog):
        bring("fasterrcnn_new", {"COCO_V1": self.META, "COCO_V2": {}})
        assert "fasterrcnn_new" in list_models()
        assert "fasterrcnn_new with COCO_V2 is left out" in caplog.text


@pytest.mark.parametrize(("key", "threshold"), [(COCO_MODEL, 0.35), (PERSON_MODEL, 0.45), ("fasterrcnn_resnet50_fpn_v2", 0.5)])
def test_moving_images_begin_at_no_threshold_that_lets_false_objects_flicker(key, threshold):
    spec = get_model_spec(key)
    assert spec.video_threshold == max(spec.default_threshold, 0.35)
    assert spec.video_threshold == threshold
