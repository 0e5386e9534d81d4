"""The masks or keypoints of one image's objects and of a model's detections on it, for drawing."""

from __future__ import annotations

import math
from typing import Any

import contourpy
import numpy as np
from pycocotools import mask as coco_mask

from detection_core.evaluation import Evaluated
from detection_core.ui.components.messages import view_edges
from detection_core.ui.evaluate.payload import shown_order

# Polygons are traced on a grid of about so many cells along an image's longer side.
_GRID = 400
# A labeled keypoint is certain: the view takes logits.
_CERTAIN = 10.0

Shape = dict[str, list[list[float]]]


def image_shapes(evaluated: Evaluated, name: str, image: int, lowest: float) -> dict[str, Any]:
    """What the browser draws besides boxes.

    Args:
        evaluated: The results.
        name: The model's name.
        image: Index of the image.
        lowest: Lowest score of a detection.

    Returns:
        `objects` and `detections` by their place in the columns of `payload`, as texts because JSON has no other keys, each with
        `polygons` or `keypoints`; both are empty if boxes are compared. `edges` and `keypoint_names` are the skeleton's.
    """
    truth = evaluated.truth
    result: dict[str, Any] = {"objects": {}, "detections": {}, "edges": view_edges(()), "keypoint_names": []}
    model = next((each for each in evaluated.models if each.name == name), None)
    if model is None or truth.iou_type == "bbox":
        return result
    names = evaluated.dataset.keypoint_names
    result |= {"edges": view_edges(names), "keypoint_names": list(names)}
    matches, step = model.matches, max(1, math.ceil(max(truth.images[image].size) / _GRID))
    for index in np.flatnonzero(truth.image == image).tolist():
        result["objects"][str(index)] = _shape(truth.shapes[index], step)
    order, _ = shown_order(matches)
    for place in np.flatnonzero((matches.image[order] == image) & (matches.scores[order] >= lowest)).tolist():
        result["detections"][str(place)] = _shape(matches.found.shapes[matches.detection[order[place]]], step)
    return result


def _shape(shape: Any, step: int) -> Shape:
    if not isinstance(shape, dict):
        points = np.asarray(shape, np.float64)
        return {"keypoints": [[round(x, 1), round(y, 1), _CERTAIN if labeled > 0 else -_CERTAIN] for x, y, labeled in points.tolist()]}
    # A ring of zeros, so that contours close at the image's border.
    grid = np.pad(coco_mask.decode(shape)[::step, ::step], 1).astype(np.float64)
    lines = contourpy.contour_generator(z=grid, line_type=contourpy.LineType.Separate).lines(0.5)
    rings = [np.maximum((np.asarray(line)[:-1] - 0.5) * step, 0).round(1) for line in lines]
    return {"polygons": [ring.ravel().tolist() for ring in rings if len(ring) > 2]}
