"""The families of detectors: what each gives, how its scores are to be read, and its models' names for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
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
        prefix: The letters that torchvision's builders of it begin with.
        tasks: What its models give.
        min_score: No score below it leaves a model.
        default_threshold: Where to begin looking, 0–1.
    """

    prefix: str
    tasks: tuple[Task, ...]
    min_score: float
    default_threshold: float


# Floors are the `score_thresh` defaults in torchvision/models/detection: nothing below them ever leaves the model. The default
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


_FAMILY_BY_PREFIX = {traits.prefix: family for family, traits in FAMILIES.items()} | {"person": Family.FASTER_RCNN}
# The family's letters, the side of its images where that is part of the name, and what the detector is built on.
_BUILDER = re.compile(r"([a-z]+)(\d*)_(.+)")


class UnknownFamilyError(ValueError):
    """A builder belongs to no family that is known here; the message says so."""


def family_of(builder: str) -> Family:
    """The family that the letters tell with which a builder's name begins.

    Raises:
        UnknownFamilyError: If they tell none: whoever does not know the family cannot know how to read its scores.
    """
    parts = _BUILDER.fullmatch(builder)
    if parts is None or parts[1] not in _FAMILY_BY_PREFIX:
        raise UnknownFamilyError(f"“{builder}” belongs to no family of detectors that is known here")
    return _FAMILY_BY_PREFIX[parts[1]]


def title_of(builder: str) -> str:
    """A builder's name for people: "Mask R-CNN ResNet-50 FPN v2" for `maskrcnn_resnet50_fpn_v2`.

    Raises:
        UnknownFamilyError: If its family is not known.
    """
    family = family_of(builder)
    head, _, rest = builder.partition("_")
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
    size = head.lstrip("abcdefghijklmnopqrstuvwxyz")
    return f"{family}{size} {rest.replace('_', ' ')}"
