"""Infers the architecture of bare weights, a builder and its number of classes, from their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from detection_core.detections.coco_names import BACKGROUND, COCO_CLASSES, COCO_KEYPOINTS
from detection_core.models.empty import FROZEN_NORM_EPSILON
from detection_core.models.spec import Architecture

# The keys under which training scripts save a model's weights, and the prefixes that wrappers add to their names.
_NESTED = ("model", "state_dict", "model_state_dict")
_WRAPPERS = ("module.", "_orig_mod.", "model.")

_BOXES = "roi_heads.box_predictor.cls_score.weight"
_MASKS = "roi_heads.mask_predictor.mask_fcn_logits.weight"
_KEYPOINTS = "roi_heads.keypoint_predictor.kps_score_lowres.weight"
_DENSE = "head.classification_head.cls_logits.weight"
_RESNET = "backbone.body.conv1.weight"
_MOBILENET = "backbone.body.0.0.weight"
_PYRAMID_OF_HEADS = "roi_heads.pyramid.inner_blocks.0.0.weight"


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


def bare_state(content: Any) -> dict[str, Tensor] | None:
    """Unwraps the weights by name from the content of a training script's file; None if there are none."""
    if isinstance(content, Mapping):
        content = next((content[name] for name in _NESTED if isinstance(content.get(name), Mapping)), content)
    if not (isinstance(content, Mapping) and content):
        return None
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        return None
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in content):
            content = {name.removeprefix(wrapper): value for name, value in content.items()}
    return dict(content)


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
