"""All models there are: the embedded ones, torchvision's and the user's, and how to find one by its key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights
from torchvision.models import list_models as torchvision_models
from torchvision.models._api import WeightsEnum

from detection_core.architectures import FLOOR_SCORES
from detection_core.checkpoint import BACKGROUND, COCO_KEYPOINT_NAMES
from detection_core.families import FAMILIES, Family, Task, family_of, title_of
from detection_core.model_spec import Architecture, ModelSpec
from detection_core.precision import split_key
from detection_core.recognition import COCO_CATEGORIES
from detection_core.structure import FROZEN_NORM_EPSILON
from detection_core.user_models import Rejected, find_user_models

__all__ = [
    "ASSETS",
    "COCO_MODEL",
    "PERSON_MODEL",
    "Architecture",
    "Family",
    "ModelSpec",
    "Rejected",
    "Task",
    "UnknownModelError",
    "get_spec",
    "list_models",
    "list_specs",
    "rejected_files",
]

ASSETS = Path(__file__).resolve().parent.parent / "assets"
COCO_MODEL = "ssdlite300_mobilenet_v2"
PERSON_MODEL = "person_mobilenet_v2_fpn"


@dataclass(frozen=True)
class _Embedded:
    """What cannot be read in the card of a model that lies in the project's assets."""

    title: str
    family: Family
    categories: tuple[str, ...]


_EMBEDDED = {
    COCO_MODEL: _Embedded("SSDlite300 MobileNetV2", Family.SSDLITE, COCO_CATEGORIES),
    PERSON_MODEL: _Embedded("Person MobileNetV2 FPN", Family.FASTER_RCNN, (BACKGROUND, "person")),
}

_BEST_FOR = {
    COCO_MODEL: "A first look at anything: COCO's 80 classes with masks, the fastest of all, with nothing to download.",
    PERSON_MODEL: "People with outlines and joints at once, at interactive speed and with nothing to download.",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "Video and weak machines: the fastest Faster R-CNN, for large objects.",
    "fasterrcnn_mobilenet_v3_large_fpn": "Everyday pictures on a CPU: most of ResNet-50's accuracy at a thirtieth of its cost.",
    "fasterrcnn_resnet50_fpn": "The reference that papers compare with.",
    "fasterrcnn_resnet50_fpn_v2": "The most accurate boxes without masks, when a few seconds a picture are fine.",
    "maskrcnn_resnet50_fpn": "Outlines of 80 kinds of objects; the model of the 2017 paper.",
    "maskrcnn_resnet50_fpn_v2": "The best outlines and the best boxes of all; also the slowest.",
    "keypointrcnn_resnet50_fpn": "Human poses: 17 joints a person, the better of the two trainings.",
    "keypointrcnn_resnet50_fpn_legacy": "Reproducing results from before torchvision 0.5.",
    "fcos_resnet50_fpn": "A one-stage detector without anchors, stronger than Faster R-CNN v1.",
    "retinanet_resnet50_fpn": "The one-stage reference with focal loss.",
    "retinanet_resnet50_fpn_v2": "The most accurate one-stage detector here, at half the cost of Faster R-CNN v2.",
    "ssd300_vgg16": "Large objects at a constant cost; a classic of 2016.",
    "ssdlite320_mobilenet_v3_large": "Phones and live video: the smallest download and the least computation.",
}


def list_models() -> list[str]:
    """Keys of all models: the embedded ones first, then the user's and torchvision's, each by name."""
    return [spec.key for spec in list_specs()]


def list_specs() -> list[ModelSpec]:
    """All models as they are at this moment, in the order of `list_models`; a user's may come and go between two calls."""
    built_in = list(_built_in().values())
    own = len(_EMBEDDED)
    return [*built_in[:own], *find_user_models(_built_in()).specs.values(), *built_in[own:]]


def get_spec(key: str) -> ModelSpec:
    """Looks a model up.

    Args:
        key: One of `list_models`, in another precision than the usual one if it ends so: `ssd300_vgg16@fast`, `ssd300_vgg16@stock`.

    Raises:
        UnknownModelError: If there is no such model; the message lists those there are.
    """
    name, precision = split_key(key)
    spec = _built_in().get(name) or find_user_models(_built_in()).specs.get(name)
    if spec is None:
        raise UnknownModelError(key)
    return spec.in_precision(precision)


def rejected_files() -> list[Rejected]:
    """Files in the models folders that are no models, and why."""
    return list(find_user_models(_built_in()).rejected)


class UnknownModelError(KeyError):
    """There is no model of that name; the message says which there are."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no model “{key}”. The models are: {', '.join(list_models())}.")

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def _built_in() -> dict[str, ModelSpec]:
    import torchvision.models.detection as detection

    specs = [_embedded_spec(key) for key in _EMBEDDED]
    for builder in torchvision_models(module=detection):
        members = list(get_model_weights(builder))
        specs += [_torchvision_spec(builder, weights) for weights in sorted(members, key=lambda w: w.name, reverse=True)]
    return {spec.key: spec for spec in specs}


def _torchvision_spec(builder: str, weights: WeightsEnum) -> ModelSpec:
    family = family_of(builder)
    traits = FAMILIES[family]
    meta = weights.meta
    legacy = weights.name == "COCO_LEGACY"
    key = builder + "_legacy" * legacy
    persons_only = family is Family.KEYPOINT_RCNN
    keypoint_names = tuple(meta.get("keypoint_names", ()))
    return ModelSpec(
        key=key,
        title=title_of(builder) + " (legacy)" * legacy,
        family=family,
        architecture=Architecture(builder, _arguments(builder, weights, len(keypoint_names))),
        tasks=traits.tasks,
        # torchvision calls Keypoint R-CNN's background "no person".
        categories=(BACKGROUND, *meta["categories"][1:]),
        keypoint_names=keypoint_names,
        params=meta["num_params"],
        gflops=meta["_ops"],
        file_size=meta["_file_size"],
        metrics=dict(meta["_metrics"]["COCO-val2017"]),
        metrics_on="COCO val2017, persons only" if persons_only else "COCO val2017, 80 classes",
        recipe=meta["recipe"],
        floor_score=traits.floor_score,
        suggested_threshold=traits.suggested_threshold,
        best_for=_BEST_FOR[key],
        file_name=weights.url.rpartition("/")[2],
        source="torchvision",
        url=weights.url,
        weights=weights,
    )


def _arguments(builder: str, weights: WeightsEnum, num_keypoints: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {"num_classes": len(weights.meta["categories"])}
    if num_keypoints:
        arguments["num_keypoints"] = num_keypoints
    if builder in FROZEN_NORM_EPSILON:
        # `overwrite_eps` is for the first of a builder's weights only.
        arguments["frozen_norm_epsilon"] = 1e-5 if weights.name == "COCO_LEGACY" else FROZEN_NORM_EPSILON[builder]
    return arguments


def _embedded_spec(key: str) -> ModelSpec:
    card = json.loads((ASSETS / f"{key}.json").read_text())
    made = _EMBEDDED[key]
    keypoint_names = COCO_KEYPOINT_NAMES if "keypoints" in card["tasks"] else ()
    return ModelSpec(
        key=key,
        title=f"{made.title} (built in)",
        family=made.family,
        architecture=Architecture(key, {"num_classes": len(made.categories), "num_keypoints": len(keypoint_names)}),
        tasks=tuple(card["tasks"]),
        categories=made.categories,
        keypoint_names=keypoint_names,
        params=card["params"],
        gflops=card["gflops"],
        file_size=card["file_size"],
        metrics=card["metrics"],
        metrics_on=card["metrics_on"],
        recipe=card["recipe_url"],
        floor_score=FLOOR_SCORES[key],
        suggested_threshold=card["suggested_threshold"],
        best_for=_BEST_FOR[key],
        file_name=f"{key}.pth",
        source="embedded",
    )
