"""Results as data that other tools read: our own JSON, and COCO's results format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from detection_core.detections import Detections


def to_json(detections: Detections) -> dict[str, Any]:
    """Everything about one picture's detections as plain types.

    Returns:
        `model`, `width`, `height`, `summary` and `objects`; each object has `label`, `class_id`, `score`, `box` (XYXY pixels) and,
        where the model gives them, `polygons` (rings of [x, y], even-odd rule) and `keypoints` (name → x, y, logit `score`).
    """
    height, width = detections.image_size
    return {
        "model": detections.model,
        "width": width,
        "height": height,
        "summary": detections.describe(),
        "objects": [_object(detections, index) for index in range(len(detections))],
    }


def _object(detections: Detections, index: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "label": detections.names[index],
        "class_id": int(detections.labels[index]),
        "score": round(float(detections.scores[index]), 4),
        "box": _rounded(detections.boxes[index]),
    }
    if detections.masks is not None:
        entry["polygons"] = [_rounded(ring) for ring in detections.polygons(index)]
    if detections.keypoints is not None and detections.keypoint_scores is not None:
        joints = zip(detections.keypoint_names, detections.keypoints[index], detections.keypoint_scores[index], strict=True)
        entry["keypoints"] = {
            name: {"x": round(float(x), 2), "y": round(float(y), 2), "score": round(float(score), 3)} for name, (x, y), score in joints
        }
    return entry


def to_coco_results(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """One picture's detections in COCO's results format, as `COCO.loadRes` takes it.

    Args:
        detections: The result.
        image_id: Number of the picture in the data set.

    Returns:
        One entry per object: `image_id`, `category_id`, `score`, `bbox` (XYWH) and, where the model gives them, `segmentation`
        (compressed run-length encoding) and `keypoints` (x, y, 1 flat, as COCO's results have them).
    """
    entries = []
    for index in range(len(detections)):
        x0, y0, x1, y1 = (float(value) for value in detections.boxes[index])
        entry: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(detections.labels[index]),
            "score": float(detections.scores[index]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }
        if detections.masks is not None:
            entry["segmentation"] = _run_length(detections, index)
        if detections.keypoints is not None:
            points = detections.keypoints[index]
            entry["keypoints"] = np.column_stack([points, np.ones(len(points))]).ravel().tolist()
        entries.append(entry)
    return entries


def _run_length(detections: Detections, index: int) -> dict[str, Any]:
    crop, (x, y) = detections.mask(index)
    full = np.zeros(detections.image_size, np.uint8, order="F")
    full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    encoded = rle.encode(full)
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def _rounded(values: NDArray[np.float32]) -> list[Any]:
    rounded: list[Any] = np.round(values.astype(float), 2).tolist()
    return rounded
