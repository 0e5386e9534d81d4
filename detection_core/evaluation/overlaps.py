"""Which detections overlap which annotated objects of the same image, whatever their classes, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.evaluation.found import Found
from detection_core.evaluation.ground_truth import GroundTruth

# Below it, a detection counts as background in the analysis of errors; no threshold of the IoU may be lower.
LOWEST_IOU = 0.1


@dataclass(frozen=True, eq=False)
class Overlaps:
    """P pairs of a detection and an object of one image, in the order of the detections, then of the objects.

    Attributes:
        detection: int64 [P], index into `Found`.
        object: int64 [P], index into `GroundTruth`.
        iou: float64 [P], of at least `LOWEST_IOU`; for keypoints COCO's object keypoint similarity. With a crowd, the part of the detection
            that lies in it.
    """

    detection: NDArray[np.int64]
    object: NDArray[np.int64]
    iou: NDArray[np.float64]

    @classmethod
    def of(cls, truth: GroundTruth, found: Found) -> Overlaps:
        """Compares all detections with all objects, one image at a time.

        Args:
            truth: The annotated objects.
            found: The detections.
        """
        parts = []
        ends = np.searchsorted(found.image, np.arange(len(truth.images) + 1))
        for index in range(len(truth.images)):
            here, there = slice(ends[index], ends[index + 1]), slice(truth.starts[index], truth.starts[index + 1])
            if here.start < here.stop and there.start < there.stop:
                iou = _iou(truth, found, here, there)
                i, j = np.nonzero(iou >= LOWEST_IOU)
                parts.append((i + here.start, j + there.start, iou[i, j]))
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _iou(truth: GroundTruth, found: Found, here: slice, there: slice) -> NDArray[np.float64]:
    if truth.iou_type == "keypoints":
        return _similarity(truth, found, here, there)
    crowd = truth.crowd[there].astype(np.uint8).tolist()
    a, b = (found.boxes[here], truth.boxes[there]) if truth.iou_type == "bbox" else (found.shapes[here], truth.shapes[there])
    return np.asarray(coco_mask.iou(a, b, crowd))


def _similarity(truth: GroundTruth, found: Found, here: slice, there: slice) -> NDArray[np.float64]:
    """Computes COCO's object keypoint similarity, float64 [detections, objects], as `COCOeval.computeOks`."""
    given, points = truth.shapes[there], found.shapes[here][:, None, :, :2]
    labeled = given[..., 2] > 0
    difference = points - given[None, :, :, :2]
    x, y, width, height = truth.boxes[there].T[:, :, None]
    # An object without labeled keypoints is near everything within twice its box.
    low, high = np.stack([x - width, y - height], -1), np.stack([x + 2 * width, y + 2 * height], -1)
    outside = np.maximum(low[None] - points, 0) + np.maximum(points - high[None], 0)
    unknown = ~labeled.any(axis=1)
    difference = np.where(unknown[None, :, None, None], outside, difference)
    scale = (truth.sigmas * 2) ** 2
    error = (difference**2).sum(axis=-1) / scale / (truth.areas[there] + np.spacing(1))[None, :, None] / 2
    counted = labeled | unknown[:, None]
    similarity: NDArray[np.float64] = (np.exp(-error) * counted[None]).sum(axis=2) / counted.sum(axis=1)[None]
    return similarity
