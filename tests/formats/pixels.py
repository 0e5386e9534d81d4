"""Whole-image masks, for comparing with other tools."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections


def full_mask(found: Detections, index: int) -> NDArray[np.bool_]:
    crop, (x, y) = found.mask(index)
    full = np.zeros(found.image_size, bool)
    full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return full


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())
