"""The families of detectors: what each gives, how its scores are to be read, and its models' names for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from string import digits
from typing import Literal

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
class FamilyTraits:
    """What the models of a family have in common.

    Attributes:
        prefix: How torchvision's builders of it begin, without the image size that may follow.
        tasks: What its models give.
        floor_score: No score below it leaves a model.
        suggested_threshold: Where to begin looking, 0–1.
    """

    prefix: str
    tasks: tuple[Task, ...]
    floor_score: float
    suggested_threshold: float


# Floors are the `score_thresh` defaults in torchvision/models/detection: nothing below them ever leaves the model. The suggested
# thresholds differ because the scores do: softmax (R-CNNs, SSDs), sigmoid (RetinaNet), sqrt(class · centerness) (FCOS).
FAMILIES = {
    Family.FASTER_RCNN: FamilyTraits("fasterrcnn", ("boxes",), 0.05, 0.5),
    Family.MASK_RCNN: FamilyTraits("maskrcnn", ("boxes", "masks"), 0.05, 0.5),
    Family.KEYPOINT_RCNN: FamilyTraits("keypointrcnn", ("boxes", "keypoints"), 0.05, 0.7),
    Family.FCOS: FamilyTraits("fcos", ("boxes",), 0.2, 0.4),
    Family.RETINANET: FamilyTraits("retinanet", ("boxes",), 0.05, 0.4),
    Family.SSD: FamilyTraits("ssd", ("boxes",), 0.01, 0.4),
    Family.SSDLITE: FamilyTraits("ssdlite", ("boxes",), 0.001, 0.4),
}


def family_of(builder: str) -> Family:
    """The family whose prefix a builder's name has; Faster R-CNN, of which our own builders make variants, where it has none."""
    prefix = _first_word(builder).rstrip(digits)
    return next((family for family, traits in FAMILIES.items() if traits.prefix == prefix), Family.FASTER_RCNN)


def title_of(builder: str) -> str:
    """A builder's name for people: "Mask R-CNN ResNet-50 FPN v2" for `maskrcnn_resnet50_fpn_v2`."""
    family = family_of(builder)
    rest = builder.partition("_")[2]
    for raw, nice in {
        "resnet50": "ResNet-50",
        "mobilenet_v3_large": "MobileNetV3",
        "mobilenet_v2": "MobileNetV2",
        "vgg16": "VGG-16",
        "_320": " 320",
        "_fpn": " FPN",
        "_v2": " v2",
    }.items():
        rest = rest.replace(raw, nice)
    prefix = _first_word(builder)
    size = prefix[len(prefix.rstrip(digits)) :]
    return f"{family}{size} {rest.replace('_', ' ')}"


def _first_word(builder: str) -> str:
    return builder.partition("_")[0]
