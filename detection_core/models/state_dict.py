"""Infers the architecture of bare weights, a builder and its number of classes, from their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

from detection_core.detections.coco_names import BACKGROUND, COCO_CLASSES, COCO_KEYPOINTS
from detection_core.models.empty import FROZEN_NORM_EPSILON, build_on_meta
from detection_core.models.spec import Architecture

_BOXES = "roi_heads.box_predictor.cls_score.weight"
_MASKS = "roi_heads.mask_predictor.mask_fcn_logits.weight"
_KEYPOINTS = "roi_heads.keypoint_predictor.kps_score_lowres.weight"
_DENSE = "head.classification_head.cls_logits.weight"
_RESNET = "backbone.body.conv1.weight"
_MOBILENET = "backbone.body.0.0.weight"
_HEADS = (_BOXES, _DENSE)
_PYRAMID_OF_HEADS = "roi_heads.pyramid.inner_blocks.0.0.weight"
# What torchvision called its weights before 0.13; it renames them when they are loaded.
_RENAMED = (
    (re.compile(r"^rpn\.head\.conv\.0\.0\."), "rpn.head.conv."),
    (re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d+)\.0\."), r"\1."),
    *((re.compile(rf"^roi_heads\.mask_head\.{layer}\.0\."), f"roi_heads.mask_head.mask_fcn{layer + 1}.") for layer in range(4)),
)
_RETINANET_LAYER = re.compile(r"\.conv\.(\d)\.0\.(weight|bias)$")


# By what in their names other libraries' weights are known.
_OTHER_LIBRARIES = (
    ("Ultralytics", re.compile(r"(^|\.)model\.\d+\.(conv|cv\d|m\.\d|dfl|bn)\b")),
    ("Detectron2", re.compile(r"(^|\.)(backbone\.bottom_up|proposal_generator)\.")),
    ("MMDetection", re.compile(r"(^|\.)(bbox_head|mask_head\.convs|roi_head\.\w+_head|neck\.\w+_convs)\.")),
    ("DETR", re.compile(r"(^|\.)(transformer\.(en|de)coder|class_embed|bbox_embed)\.|(^|\.)model\.decoder\.layers\.")),
)


@dataclass(frozen=True)
class _Signature:
    """Identifies a builder's weights by required names and the layer from which the number of classes follows.

    That layer has `anchors` outputs per class.
    """

    builder: str
    names: tuple[str, ...]
    classifier: str
    anchors: int = 1


# The first match counts: a Mask R-CNN has all that a Faster R-CNN has. The v2 box head begins with a convolution, the v2
# RetinaNet's classifier has norms.
_SIGNATURES = (
    _Signature("keypointrcnn_resnet50_fpn", (_RESNET, _KEYPOINTS), _BOXES),
    _Signature("maskrcnn_resnet50_fpn_v2", (_RESNET, _MASKS, "roi_heads.box_head.0.0.weight"), _BOXES),
    _Signature("maskrcnn_resnet50_fpn", (_RESNET, _MASKS), _BOXES),
    _Signature("fasterrcnn_resnet50_fpn_v2", (_RESNET, "roi_heads.box_head.0.0.weight"), _BOXES),
    _Signature("fasterrcnn_resnet50_fpn", (_RESNET,), _BOXES),
    # The 320 variant has the same weights and only scales images to a smaller size.
    _Signature("fasterrcnn_mobilenet_v3_large_fpn", (_MOBILENET,), _BOXES),
    _Signature("fcos_resnet50_fpn", (_RESNET, "head.regression_head.bbox_ctrness.weight"), _DENSE),
    _Signature("retinanet_resnet50_fpn_v2", (_RESNET, "head.classification_head.conv.0.1.weight"), _DENSE, anchors=9),
    _Signature("retinanet_resnet50_fpn", (_RESNET,), _DENSE, anchors=9),
    _Signature("ssdlite300_mobilenet_v2", (_PYRAMID_OF_HEADS,), "head.classification_head.module_list.0.1.weight", anchors=3),
    _Signature("ssd300_vgg16", ("backbone.scale_weight",), "head.classification_head.module_list.0.weight", anchors=4),
    _Signature("ssdlite320_mobilenet_v3_large", (), "head.classification_head.module_list.0.1.weight", anchors=6),
)


@cache
def recognizable_names() -> frozenset[str]:
    """The names of all weights of all builders that can be recognized, those of older torchvisions included."""
    heads: dict[str, dict[str, Any]] = {"ssdlite300_mobilenet_v2": {"num_keypoints": 1}}
    names: set[str] = set()
    for signature in _SIGNATURES:
        names |= build_on_meta(Architecture(signature.builder, {"num_classes": 2, **heads.get(signature.builder, {})})).state_dict().keys()
    for now, before in _RENAMED:
        names |= {now.sub(before, name) for name in names}
    # Two layers of an old RetinaNet's head for each of today's: the convolution and its activation.
    names |= {_RETINANET_LAYER.sub(lambda found: f".conv.{2 * int(found[1])}.{found[2]}", name) for name in names}
    return frozenset(names)


def tells_classes(name: str) -> bool:
    """Whether a weight's name is one by whose shape the number of classes is known."""
    return any(signature.classifier == name for signature in _SIGNATURES)


def other_network(names: Iterable[str]) -> str:
    """Why weights of these names cannot be used, and what to do, for people; it goes on a sentence that begins with the file's name."""
    names = list(names)
    library = next((library for library, pattern in _OTHER_LIBRARIES if any(pattern.search(name) for name in names)), None)
    detail = f"they look like {library}'s" if library else f"the first is {names[0]}"
    if not library and any(name.endswith(_HEADS) for name in names):
        detail = "its heads are a detector's, but its backbone is none of torchvision's builders'"
    return (
        f"does not hold the weights of one of torchvision's detectors ({detail}). Use a checkpoint that `train` has written, or the "
        "state_dict() of a Faster, Mask or Keypoint R-CNN, RetinaNet, FCOS, SSD or SSDlite that torchvision's builders give."
    )


def infer_architecture(state: Mapping[str, Tensor]) -> Architecture | None:
    """Finds the architecture of bare weights.

    Weights do not determine everything. The two Faster R-CNNs with MobileNetV3 have the same weights; the one for full-size images is
    chosen. Frozen norms get the epsilon of torchvision's COCO weights, which most trainings start from.

    Args:
        state: Weights by name, as a module's `state_dict()` returns them.

    Returns:
        The architecture, or None if no builder matches. The caller must still check that all weights fit.
    """
    signature = next((s for s in _SIGNATURES if s.classifier in state and all(name in state for name in s.names)), None)
    if signature is None:
        return None
    classes = _size(state[signature.classifier], 0) // signature.anchors
    if classes < 2:
        return None
    arguments: dict[str, Any] = {"num_classes": classes}
    if keypoints := num_keypoints(state):
        arguments["num_keypoints"] = keypoints
    if _PYRAMID_OF_HEADS in state and not has_masks(state):
        arguments["masks"] = False
    # Norms that are not frozen count batches.
    if signature.builder in FROZEN_NORM_EPSILON and not any(name.endswith("num_batches_tracked") for name in state):
        arguments["frozen_norm_epsilon"] = FROZEN_NORM_EPSILON[signature.builder]
    return Architecture(signature.builder, arguments)


def default_names(classes: int, keypoints: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns names of classes, background first, and keypoints: COCO's if the numbers match, otherwise "class 1" and "keypoint 1"."""
    categories: tuple[str, ...] = (BACKGROUND, *(f"class {label}" for label in range(1, classes)))
    if classes == len(COCO_CLASSES):
        categories = COCO_CLASSES
    elif keypoints and classes == 2:
        categories = (BACKGROUND, "person")
    if keypoints == len(COCO_KEYPOINTS):
        return categories, COCO_KEYPOINTS
    return categories, tuple(f"keypoint {number + 1}" for number in range(keypoints))


def num_keypoints(state: Mapping[str, Tensor]) -> int:
    """Returns the number of keypoints, 0 if there is no keypoint head."""
    return _size(state[_KEYPOINTS], 1) if _KEYPOINTS in state else 0


def has_masks(state: Mapping[str, Tensor]) -> bool:
    """Returns whether the weights contain a mask head."""
    return _MASKS in state


def _size(tensor: Tensor, dimension: int) -> int:
    return tensor.shape[dimension] if tensor.ndim > dimension else 0
