"""The catalog of models: the embedded ones, torchvision's and the user's, each found by its key."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights
from torchvision.models import list_models as torchvision_models
from torchvision.models._api import WeightsEnum

from detection_core.detections.coco_names import BACKGROUND, COCO_CLASSES, COCO_KEYPOINTS
from detection_core.errors import UserError
from detection_core.file_names import on_one_line, shortened
from detection_core.models.builders import FLOOR_SCORES
from detection_core.models.empty import FROZEN_NORM_EPSILON, build_on_meta
from detection_core.models.families import FAMILIES, Family, Task, family_of, title_of
from detection_core.models.model_key import ModelKey
from detection_core.models.spec import Architecture, ModelSpec
from detection_core.models.user_models import Rejected, find_user_models

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
    "get_model_spec",
    "list_models",
    "list_specs",
    "rejected_files",
]

logger = logging.getLogger(__name__)

ASSETS = Path(__file__).resolve().parents[2] / "assets"
COCO_MODEL = "ssdlite300_mobilenet_v2"
PERSON_MODEL = "person_mobilenet_v2_fpn"


@dataclass(frozen=True)
class _Embedded:
    """The facts about an embedded model that its card does not contain."""

    title: str
    family: Family
    categories: tuple[str, ...]


_EMBEDDED = {
    COCO_MODEL: _Embedded("SSDlite300 MobileNetV2", Family.SSDLITE, COCO_CLASSES),
    PERSON_MODEL: _Embedded("Person MobileNetV2 FPN", Family.FASTER_RCNN, (BACKGROUND, "person")),
}

_BEST_FOR = {
    COCO_MODEL: "A first look at any image: COCO's 80 classes with masks, and people's keypoints, with nothing to download.",
    PERSON_MODEL: "People with masks and keypoints at once, at interactive speed and with nothing to download.",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "Video and slow machines: the fastest Faster R-CNN, for large objects.",
    "fasterrcnn_mobilenet_v3_large_fpn": "Everyday images on a CPU: most of ResNet-50's accuracy at a thirtieth of its cost.",
    "fasterrcnn_resnet50_fpn": "The reference that papers compare with.",
    "fasterrcnn_resnet50_fpn_v2": "The most accurate boxes without masks, when a few seconds an image are fine.",
    "maskrcnn_resnet50_fpn": "Masks of 80 kinds of objects; the model of the 2017 paper.",
    "maskrcnn_resnet50_fpn_v2": "The best masks and the best boxes of all; also the slowest.",
    "keypointrcnn_resnet50_fpn": "Human poses: 17 keypoints a person, the better of the two trainings.",
    "keypointrcnn_resnet50_fpn_legacy": "Reproducing results from before torchvision 0.5.",
    "fcos_resnet50_fpn": "A one-stage detector without anchors, stronger than Faster R-CNN v1.",
    "retinanet_resnet50_fpn": "The one-stage reference with focal loss.",
    "retinanet_resnet50_fpn_v2": "The most accurate one-stage detector here, at half the cost of Faster R-CNN v2.",
    "ssd300_vgg16": "Large objects at a constant cost; a classic of 2016.",
    "ssdlite320_mobilenet_v3_large": "Phones and live video: the smallest download and the least computation.",
}

# The weights that a key without a suffix names; these must not change when torchvision adds others.
_USUAL_WEIGHTS = "COCO_V1"
_METRICS = ("box_map", "mask_map", "kp_map")


def list_models() -> list[str]:
    """Lists the keys of all models: the embedded ones first, then the user's and torchvision's, each sorted by name."""
    return [spec.key for spec in list_specs()]


def list_specs() -> list[ModelSpec]:
    """Lists the specs of all models in the order of `list_models`; a user's models may change between two calls."""
    built_in = list(_built_in().values())
    own = len(_EMBEDDED)
    return [*built_in[:own], *find_user_models(_built_in()).specs.values(), *built_in[own:]]


def get_model_spec(key: str) -> ModelSpec:
    """Returns the spec of a model.

    Args:
        key: One of `list_models`, optionally with a precision as its suffix: `ssd300_vgg16@fast`, `ssd300_vgg16@stock`.

    Raises:
        UnknownModelError: If there is no such model; the message lists the models.
    """
    parts = ModelKey.parse(key)
    spec = _built_in().get(parts.name) or find_user_models(_built_in()).specs.get(parts.name)
    if spec is None:
        raise UnknownModelError(key)
    return spec.as_variant(parts)


def rejected_files() -> list[Rejected]:
    """Lists the files in the models folders that cannot be used, with the reasons."""
    return list(find_user_models(_built_in()).rejected)


# Bytes of an unknown key that a message repeats.
_LONGEST_KEY_SHOWN = 80


class UnknownModelError(UserError, KeyError):
    """There is no model of that name; the message lists the models."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"There is no model “{shortened(on_one_line(key), _LONGEST_KEY_SHOWN)}”. The models are: {', '.join(list_models())}."
        )

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def _built_in() -> dict[str, ModelSpec]:
    import torchvision.models.detection as detection

    specs = [_embedded_spec(key) for key in _EMBEDDED]
    for builder in torchvision_models(module=detection):
        specs += _torchvision_specs(builder)
    return {spec.key: spec for spec in specs}


def _torchvision_specs(builder: str) -> list[ModelSpec]:
    """Returns the models of one of torchvision's builders; those that cannot be used here are logged and left out."""
    specs = []
    try:
        members = get_model_weights(builder)
    except ValueError as error:
        logger.warning("torchvision's %s is left out: %s", builder, error)
        return []
    usual = getattr(members, _USUAL_WEIGHTS, None) or getattr(members, "DEFAULT", None)
    for weights in sorted(members, key=lambda member: member.name, reverse=True):
        try:
            specs.append(_torchvision_spec(builder, weights, usual))
        except Exception as error:  # One unusable detector of a later torchvision must not hide the others.
            logger.warning("torchvision's %s with %s is left out: %s: %s", builder, weights.name, type(error).__name__, error)
    return specs


def _torchvision_spec(builder: str, weights: WeightsEnum, usual: WeightsEnum | None) -> ModelSpec:
    family = family_of(builder)
    traits = FAMILIES[family]
    meta = weights.meta
    which = "" if weights is usual else {"COCO_LEGACY": "legacy"}.get(weights.name, weights.name)
    key = builder + (f"_{which.lower()}" if which else "")
    keypoint_names = tuple(meta.get("keypoint_names", ()))
    if "keypoints" in traits.tasks and not keypoint_names:
        raise ValueError(f"{weights} does not name its keypoints")
    architecture = Architecture(builder, _arguments(builder, weights, len(keypoint_names)))
    params = meta.get("num_params") or sum(parameter.numel() for parameter in build_on_meta(architecture).parameters())
    measured = (meta.get("_metrics") or {}).get("COCO-val2017", {})
    metrics = {name: measured[name] for name in _METRICS if name in measured}
    classes = "persons only" if family is Family.KEYPOINT_RCNN else "80 classes"
    return ModelSpec(
        key=key,
        title=title_of(builder) + (f" ({which.replace('_', ' ')})" if which else ""),
        family=family,
        architecture=architecture,
        tasks=traits.tasks,
        # torchvision calls Keypoint R-CNN's background "no person".
        categories=(BACKGROUND, *meta["categories"][1:]),
        keypoint_names=keypoint_names,
        params=params,
        gflops=meta.get("_ops"),
        # torchvision's weights are float32.
        file_size=meta.get("_file_size") or round(4 * params / 2**20, 1),
        metrics=metrics,
        metrics_on=f"COCO val2017, {classes}" if metrics else "",
        recipe=meta.get("recipe", ""),
        min_score=traits.min_score,
        default_threshold=traits.default_threshold,
        best_for=_BEST_FOR.get(key, f"One more {family}, which this version of torchvision has brought along."),
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
        # torchvision applies `overwrite_eps` only to the first of a builder's weights.
        arguments["frozen_norm_epsilon"] = FROZEN_NORM_EPSILON[builder] if weights.name == _USUAL_WEIGHTS else 1e-5
    return arguments


def _embedded_spec(key: str) -> ModelSpec:
    card = json.loads((ASSETS / f"{key}.json").read_text())
    made = _EMBEDDED[key]
    keypoint_names = COCO_KEYPOINTS if "keypoints" in card["tasks"] else ()
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
        min_score=FLOOR_SCORES[key],
        default_threshold=card["default_threshold"],
        best_for=_BEST_FOR[key],
        file_name=f"{key}.pth",
        source="embedded",
    )
