"""Writes COCO's formats: results for `COCO.loadRes`, and whole data sets."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core import __version__
from detection_core.detections import Detections
from detection_core.detections.coco_names import UNUSED
from detection_core.formats.json_writing import JsonList
from detection_core.formats.provenance import Provenance
from detection_core.formats.result import ImageResult
from detection_core.formats.rle import area_of, encode
from detection_core.formats.target import Target
from detection_core.visualization import EDGES, AnnotationStyle

RESULTS_FILE = "coco_results.json"
DATASET_FILE = "coco_dataset.json"
# COCO's visibility flags for a keypoint that is not labeled, and for one that is labeled and visible.
_NOT_LABELED, _VISIBLE = 0, 2


def to_coco_results(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """Converts one image's detections to COCO's results format, as read by `COCO.loadRes`.

    Args:
        detections: The result.
        image_id: Id of the image in the data set.

    Returns:
        One entry per object: `image_id`, `category_id`, `score`, `bbox` (XYWH) and, if the model predicts them, `segmentation`
        (compressed run-length encoding) and `keypoints` (flat x, y, 1, as in COCO's results), with their logits in
        `keypoint_scores`, which COCO's tools ignore. An object without keypoints has neither key.
        `COCOeval` measures keypoints of the categories in its `params.catIds`, which must be the categories with keypoints.
    """
    entries = []
    masks = encode(detections) if detections.masks is not None else None
    for index, has_keypoints in enumerate(detections.has_keypoints):
        entry: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(detections.labels[index]),
            "score": float(detections.scores[index]),
            "bbox": _xywh(detections, index),
        }
        if masks is not None:
            entry["segmentation"] = next(masks)
        if has_keypoints:
            assert detections.keypoints is not None
            assert detections.keypoint_scores is not None
            points = detections.keypoints[index]
            entry["keypoints"] = np.column_stack([points, np.ones(len(points))]).ravel().tolist()
            entry["keypoint_scores"] = detections.keypoint_scores[index].tolist()
        entries.append(entry)
    return entries


def visibility(logits: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Returns COCO's flag of each keypoint: 2 (visible) where the logit exceeds the threshold, else 0 (not labeled)."""
    return np.where(logits > threshold, _VISIBLE, _NOT_LABELED)


def _xywh(detections: Detections, index: int) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in detections.boxes[index])
    return [x0, y0, x1 - x0, y1 - y0]


class ResultsWriter:
    """Writes one results file; images are numbered from 1 in the order in which they are added."""

    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._entries = JsonList("[")
        self._images = 0

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result."""
        self._images += 1
        for entry in to_coco_results(result.detections, self._images):
            self._entries.append({"file_name": result.file_name, **entry})

    def finish(self) -> None:
        """Writes the file."""
        with self._entries.end("]") as file:
            self._target.write(RESULTS_FILE, file)


class DatasetWriter:
    """Writes one data set file: images, objects, classes and provenance.

    For frames of videos it also writes `videos`, as in data sets for tracking: frames have a video and a time, objects a track id.
    """

    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._keypoint_threshold = style.keypoint_threshold
        self._annotations = JsonList('{"annotations": [')
        self._images = JsonList("[")
        self._videos: dict[str, dict[str, Any]] = {}
        self._categories: dict[str, dict[str, Any]] = {}
        self._provenances: list[Provenance] = []

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result."""
        found = result.detections
        height, width = found.image_size
        size = {"width": width, "height": height}
        number, frame = self._images.length + 1, result.frame
        if frame is None:
            self._images.append({"id": number, "file_name": result.file_name, **size})
        else:
            video = {"id": len(self._videos) + 1, "name": result.file_name, "file_name": result.file_name, **size, **asdict(frame.video)}
            video_id = self._videos.setdefault(result.file_name, video)["id"]
            facts = {"video_id": video_id, "frame_id": frame.index, "time_s": frame.time_s}
            self._images.append({"id": number, "file_name": f"{stem}.jpg", **size, **facts})
        self._add_categories(found)
        for index, entry in enumerate(to_coco_results(found, number)):
            self._annotations.append(self._annotation(entry, found, index) | (frame.track(index) if frame else {}))
        if result.provenance and not any(known.same_run(result.provenance) for known in self._provenances):
            self._provenances.append(result.provenance)

    def _annotation(self, entry: dict[str, Any], found: Detections, index: int) -> dict[str, Any]:
        entry["category_id"] = self._categories[found.names[index]]["id"]
        area = entry["bbox"][2] * entry["bbox"][3] if found.masks is None else area_of(entry["segmentation"])
        annotation = {"id": self._annotations.length + 1, **entry, "area": area, "iscrowd": 0}
        if "keypoints" in entry:
            assert found.keypoints is not None
            assert found.keypoint_scores is not None
            flags = visibility(found.keypoint_scores[index], self._keypoint_threshold)
            annotation["keypoints"] = [
                value for (x, y), v in zip(found.keypoints[index].tolist(), flags, strict=True) for value in (x, y, int(v))
            ]
            annotation["num_keypoints"] = int((flags == _VISIBLE).sum())
        return annotation

    def _add_categories(self, found: Detections) -> None:
        """Adds a model's classes with their own ids; a second model's new classes get free ids. Equal names are one class."""
        occurring = set(found.names)
        for label, name in enumerate(found.categories):
            if name not in self._categories and (name in occurring or (label and name != UNUSED)):
                taken = {category["id"] for category in self._categories.values()}
                self._categories[name] = {"id": max(taken) + 1 if label in taken else label, "name": name}
        # A model may predict keypoints for some of its classes only; the objects show which.
        for label in set(found.labels[found.has_keypoints].tolist()):
            keypoints = {"keypoints": list(found.keypoint_names), "skeleton": _skeleton(found.keypoint_names)}
            self._categories[found.categories[label]] |= keypoints

    def finish(self) -> None:
        """Writes the file."""
        info = {"description": "Detections, not annotations by people", "version": __version__}
        rest = {
            **({"videos": list(self._videos.values())} if self._videos else {}),
            "categories": list(self._categories.values()),
            "info": info | {"provenance": [provenance.to_json() for provenance in self._provenances]},
        }
        self._annotations.take_over(self._images, '], "images": ')
        with self._annotations.end("], " + json.dumps(rest)[1:]) as file:
            self._target.write(DATASET_FILE, file)


def _skeleton(names: tuple[str, ...]) -> list[list[int]]:
    """Returns the limbs in COCO's format: pairs of keypoints counted from 1."""
    return [[names.index(start) + 1, names.index(end) + 1] for start, end in EDGES if start in names and end in names]
