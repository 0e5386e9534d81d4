"""The families of detectors: their tasks, their score ranges, and the display names of their models."""

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
    """The properties that all models of a family share.

    Attributes:
        prefix: The letters with which the names of torchvision's builders begin.
        tasks: The tasks of its models.
        min_score: The lowest score that a model returns.
        default_threshold: The threshold to start with, 0–1.
        resizes: Whether a model resizes images by their shorter side; otherwise to one fixed size.
    """

    prefix: str
    tasks: tuple[Task, ...]
    min_score: float
    default_threshold: float
    resizes: bool = True


# `min_score` is the `score_thresh` default in torchvision/models/detection: models return nothing below it. The default thresholds
# differ because the scores do: softmax (R-CNNs, SSDs), sigmoid (RetinaNet), sqrt(class · centerness) (FCOS).
FAMILIES = {
    Family.FASTER_RCNN: FamilyTraits("fasterrcnn", ("boxes",), 0.05, 0.5),
    Family.MASK_RCNN: FamilyTraits("maskrcnn", ("boxes", "masks"), 0.05, 0.5),
    Family.KEYPOINT_RCNN: FamilyTraits("keypointrcnn", ("boxes", "keypoints"), 0.05, 0.7),
    Family.FCOS: FamilyTraits("fcos", ("boxes",), 0.2, 0.4),
    Family.RETINANET: FamilyTraits("retinanet", ("boxes",), 0.05, 0.4),
    Family.SSD: FamilyTraits("ssd", ("boxes",), 0.01, 0.4, resizes=False),
    Family.SSDLITE: FamilyTraits("ssdlite", ("boxes",), 0.001, 0.4, resizes=False),
}


_FAMILY_BY_PREFIX = {traits.prefix: family for family, traits in FAMILIES.items()} | {"person": Family.FASTER_RCNN}
# The family's letters, the image side if it is part of the name, and the backbone.
_BUILDER = re.compile(r"([a-z]+)(\d*)_(.+)")


class UnknownFamilyError(ValueError):
    """A builder belongs to no known family; the message says so."""


def family_of(builder: str) -> Family:
    """Returns the family named by the letters with which a builder's name begins.

    Raises:
        UnknownFamilyError: If there is no such family, since its scores could not be interpreted.
    """
    parts = _BUILDER.fullmatch(builder)
    if parts is None or parts[1] not in _FAMILY_BY_PREFIX:
        raise UnknownFamilyError(f"“{builder}” belongs to no known family of detectors")
    return _FAMILY_BY_PREFIX[parts[1]]


def title_of(builder: str) -> str:
    """Returns a builder's display name: "Mask R-CNN ResNet-50 FPN v2" for `maskrcnn_resnet50_fpn_v2`.

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
