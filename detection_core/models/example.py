"""A result as a model could give it, which shows before the model runs what its results can be written as."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detection_core.detections import Detections
from detection_core.models.spec import ModelSpec


def example_of(spec: ModelSpec) -> Detections:
    """Returns a result with one object and everything that the model predicts."""
    example = Detections(np.zeros((1, 4)), np.zeros(1), np.zeros(1), (1, 1), spec.categories)  # type: ignore[arg-type]
    if "masks" in spec.tasks:
        example = replace(example, masks=np.zeros((1, 28, 28), np.float32))
    if "keypoints" in spec.tasks:
        keypoints = np.zeros((1, len(spec.keypoint_names), 3), np.float32)
        example = replace(example, keypoints=keypoints[..., :2], keypoint_scores=keypoints[..., 2], keypoint_names=spec.keypoint_names)
    return example
