"""What an image costs at another input size: a part that is the same at all sizes, and one that grows with the number of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import linear_regression

from detection_core.models.empty import trained_side
from detection_core.models.model_key import ModelKey, variants_of
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec

# Share of the time at the size of the training that does not depend on the size, measured on a CPU from 320 to 1024 px. A second stage
# looks at a number of boxes, whatever the size: that counts where it is heavy, or the backbone is light.
_FIXED_SHARES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": 0.7,
    "fasterrcnn_mobilenet_v3_large_fpn": 0.6,
    "fasterrcnn_resnet50_fpn_v2": 0.4,
    "maskrcnn_resnet50_fpn_v2": 0.4,
    "person_mobilenet_v2_fpn": 0.4,
}
_USUAL_SHARE = 0.1


def fixed_share(spec: ModelSpec, precision: Precision, seconds: Mapping[str, float]) -> float:
    """Returns which share of the time at the size of a model's training is the same at all sizes, 0–1.

    Args:
        spec: The model.
        precision: The precision in which it computes.
        seconds: What an image takes, as from `Engine.run_seconds`. If the model has run at two sizes or more, a line through these gives
            the share; otherwise it is what was measured for such models.
    """
    trained = trained_side(spec.architecture)
    keys = {ModelKey.parse(key): taken for key, taken in variants_of(spec.key, seconds).items()}
    alike = {key.input_size or trained: taken for key, taken in keys.items() if key.precision is precision and key.slices is None}
    if len(alike) > 1:
        growing, fixed = linear_regression([(side / trained) ** 2 for side in alike], list(alike.values()))
        if growing > 0:
            return max(fixed, 0.0) / (max(fixed, 0.0) + growing)
    return _FIXED_SHARES.get(spec.architecture.builder, _USUAL_SHARE)


def relative_time(side: int, trained: int, fixed: float) -> float:
    """Returns the time at an input size as a multiple of that at the size of the training, given the fixed share of the latter."""
    return fixed + (1 - fixed) * (side / trained) ** 2
