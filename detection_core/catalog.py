"""Everything known about a model before it is loaded, derived from torchvision's weights enums and the embedded model's card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

from torchvision.models import get_model_weights
from torchvision.models import list_models as torchvision_models
from torchvision.models._api import WeightsEnum
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

ASSETS = Path(__file__).resolve().parent.parent / "assets"
EMBEDDED_MODEL = "person_mobilenet_v2_fpn"

Task = Literal["boxes", "masks", "keypoints"]


class Family(StrEnum):
    """Detector families; scores of different families are not comparable."""

    FASTER_RCNN = "Faster R-CNN"
    MASK_RCNN = "Mask R-CNN"
    KEYPOINT_RCNN = "Keypoint R-CNN"
    FCOS = "FCOS"
    RETINANET = "RetinaNet"
    SSD = "SSD"
    SSDLITE = "SSDlite"


@dataclass(frozen=True)
class _FamilyTraits:
    prefix: str
    tasks: tuple[Task, ...]
    floor_score: float
    suggested_threshold: float


# Floors are the `score_thresh` defaults in torchvision/models/detection: nothing below them ever leaves the model. The suggested
# thresholds differ because the scores do: softmax (R-CNNs, SSDs), sigmoid (RetinaNet), sqrt(class · centerness) (FCOS).
_FAMILIES = {
    Family.FASTER_RCNN: _FamilyTraits("fasterrcnn", ("boxes",), 0.05, 0.5),
    Family.MASK_RCNN: _FamilyTraits("maskrcnn", ("boxes", "masks"), 0.05, 0.5),
    Family.KEYPOINT_RCNN: _FamilyTraits("keypointrcnn", ("boxes", "keypoints"), 0.05, 0.7),
    Family.FCOS: _FamilyTraits("fcos", ("boxes",), 0.2, 0.4),
    Family.RETINANET: _FamilyTraits("retinanet", ("boxes",), 0.05, 0.4),
    Family.SSD: _FamilyTraits("ssd300", ("boxes",), 0.01, 0.4),
    Family.SSDLITE: _FamilyTraits("ssdlite320", ("boxes",), 0.001, 0.4),
}

_BEST_FOR = {
    EMBEDDED_MODEL: "People with outlines and joints at once, at interactive speed and with nothing to download.",
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


@dataclass(frozen=True)
class ModelSpec:
    """A model as the catalog knows it, without loading anything.

    Attributes:
        key: Name under which the whole project knows it, such as `maskrcnn_resnet50_fpn_v2`.
        title: Name for people.
        family: Which kind of detector it is.
        tasks: What it gives: boxes always, masks and keypoints where it has the heads.
        categories: Class names by label; index 0 is the background, and COCO's unused ids are "N/A".
        keypoint_names: Names of its joints, or empty.
        params: Number of parameters.
        gflops: Billions of multiply-adds a picture, as torchvision counts them.
        file_size: Size of the weights file in MiB.
        metrics: Published average precisions in percent: `box_map`, `mask_map`, `kp_map`.
        metrics_on: What they were measured on.
        recipe: Link to how it was trained.
        floor_score: No score below it leaves the model.
        suggested_threshold: Where to begin looking, 0–1.
        best_for: One line on when to choose it.
        file_name: Official name of the weights file; its last part is the start of the file's SHA-256.
        url: Where the file is downloaded from, or "" for a file that the project ships.
        weights: torchvision's enum member, or None for the embedded model.
    """

    key: str
    title: str
    family: Family
    tasks: tuple[Task, ...]
    categories: tuple[str, ...]
    keypoint_names: tuple[str, ...]
    params: int
    gflops: float
    file_size: float
    metrics: dict[str, float]
    metrics_on: str
    recipe: str
    floor_score: float
    suggested_threshold: float
    best_for: str
    file_name: str
    url: str = ""
    weights: WeightsEnum | None = None

    @property
    def group(self) -> str:
        """What it gives, in words: "Boxes, masks"."""
        return ", ".join(self.tasks).capitalize()

    def facts(self) -> dict[str, Any]:
        """What programs may want to know, as plain types that JSON can hold.

        Returns:
            Attributes under their own names, except `file_size_mib`; `categories` are those that it can find, in the order of
            their labels.
        """
        return {
            "key": self.key,
            "title": self.title,
            "family": str(self.family),
            "tasks": list(self.tasks),
            "metrics": dict(self.metrics),
            "metrics_on": self.metrics_on,
            "gflops": self.gflops,
            "params": self.params,
            "file_size_mib": self.file_size,
            "floor_score": self.floor_score,
            "suggested_threshold": self.suggested_threshold,
            "categories": [name for name in self.categories[1:] if name != "N/A"],
            "keypoint_names": list(self.keypoint_names),
            "best_for": self.best_for,
            "recipe": self.recipe,
            "url": self.url,
        }


def list_models() -> list[str]:
    """Keys of all models: the embedded one first, then torchvision's by name."""
    return list(_catalog())


def get_spec(key: str) -> ModelSpec:
    """Looks a model up.

    Raises:
        KeyError: If there is no such model; the message lists those there are.
    """
    try:
        return _catalog()[key]
    except KeyError:
        raise UnknownModelError(key) from None


class UnknownModelError(KeyError):
    """There is no model of that name; the message says which there are."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no model “{key}”. The models are: {', '.join(list_models())}.")

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def _catalog() -> dict[str, ModelSpec]:
    import torchvision.models.detection as detection

    specs = [_embedded_spec()]
    for builder in torchvision_models(module=detection):
        members = list(get_model_weights(builder))
        specs += [_torchvision_spec(builder, weights) for weights in sorted(members, key=lambda w: w.name, reverse=True)]
    return {spec.key: spec for spec in specs}


def _torchvision_spec(builder: str, weights: WeightsEnum) -> ModelSpec:
    family, traits = next(item for item in _FAMILIES.items() if builder.startswith(item[1].prefix + "_"))
    meta = weights.meta
    legacy = weights.name == "COCO_LEGACY"
    key = builder + "_legacy" * legacy
    persons_only = family is Family.KEYPOINT_RCNN
    return ModelSpec(
        key=key,
        title=_title(builder, family) + " (legacy)" * legacy,
        family=family,
        tasks=traits.tasks,
        # torchvision calls Keypoint R-CNN's background "no person".
        categories=("__background__", *meta["categories"][1:]),
        keypoint_names=tuple(meta.get("keypoint_names", ())),
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
        url=weights.url,
        weights=weights,
    )


def _title(builder: str, family: Family) -> str:
    rest = builder.partition("_")[2]
    for raw, nice in {
        "resnet50_fpn": "ResNet-50 FPN",
        "mobilenet_v3_large": "MobileNetV3",
        "vgg16": "VGG-16",
        "_320": " 320",
        "_fpn": " FPN",
        "_v2": " v2",
    }.items():
        rest = rest.replace(raw, nice)
    size = {Family.SSD: "300", Family.SSDLITE: "320"}.get(family, "")
    return f"{family}{size} {rest}"


def _embedded_spec() -> ModelSpec:
    card = json.loads((ASSETS / f"{EMBEDDED_MODEL}.json").read_text())
    keypoint_names = tuple(KeypointRCNN_ResNet50_FPN_Weights.DEFAULT.meta["keypoint_names"])
    return ModelSpec(
        key=EMBEDDED_MODEL,
        title="Person MobileNetV2 FPN (built in)",
        family=Family.FASTER_RCNN,
        tasks=("boxes", "masks", "keypoints"),
        categories=("__background__", "person"),
        keypoint_names=keypoint_names,
        params=card["params"],
        gflops=card["gflops"],
        file_size=card["file_size"],
        metrics=card["metrics"],
        metrics_on=card["metrics_on"],
        recipe=card["recipe_url"],
        floor_score=_FAMILIES[Family.FASTER_RCNN].floor_score,
        suggested_threshold=card["suggested_threshold"],
        best_for=_BEST_FOR[EMBEDDED_MODEL],
        file_name=f"{EMBEDDED_MODEL}.pth",
    )
