"""Joins the pieces of an object that several tiles have parts of: boxes, masks and keypoints across the seams."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections


class Joined(NamedTuple):
    """One object's part of the arrays of `Detections`, under their names."""

    boxes: NDArray[np.float32]
    masks: NDArray[np.float32] | None
    keypoints: NDArray[np.float32] | None
    keypoint_scores: NDArray[np.float32] | None


def join(pieces: Detections) -> Joined:
    """Joins pieces of one object: their boxes to the union, their masks to one on the union's grid, each keypoint from the best piece.

    Args:
        pieces: At least one piece.
    """
    box = np.concatenate([pieces.boxes[:, :2].min(axis=0), pieces.boxes[:, 2:].max(axis=0)])
    if len(pieces) == 1:
        return Joined(box, *(None if each is None else each[0] for each in (pieces.masks, pieces.keypoints, pieces.keypoint_scores)))
    mask = None
    if pieces.masks is not None:
        mask = np.max([_resampled(grid, own, box) for grid, own in zip(pieces.masks, pieces.boxes, strict=True)], axis=0)
    if pieces.keypoints is None or pieces.keypoint_scores is None:
        return Joined(box, mask, None, None)
    best = np.where(np.isnan(pieces.keypoint_scores), -np.inf, pieces.keypoint_scores).argmax(axis=0)
    each = np.arange(len(best))
    return Joined(box, mask, pieces.keypoints[best, each], pieces.keypoint_scores[best, each])


def _resampled(grid: NDArray[np.float32], own: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a mask [M,M] over its own box [4] on the same grid over a larger box, 0 outside its own."""
    rows, columns = (_weights(len(grid), *own[axis::2], *box[axis::2]) for axis in (1, 0))
    return np.asarray(rows @ grid @ columns.T, np.float32)


def _weights(size: int, own_start: float, own_end: float, start: float, end: float) -> NDArray[np.float32]:
    """Returns the weights [M,M] that interpolate a side's cells, whose values are at their centers, at the cells of a longer side."""
    centers = start + (np.arange(size) + 0.5) * (end - start) / size
    position = (centers - own_start) * size / max(own_end - own_start, 1e-6) - 0.5
    inside = (position > -0.5) & (position < size - 0.5)
    # Beyond the centers of the first and last cell their own values go on to the border.
    distance = np.abs(position.clip(0, size - 1)[:, None] - np.arange(size))
    return np.asarray((1 - distance).clip(0) * inside[:, None], np.float32)
