"""Writes COCO's formats: results for `COCO.loadRes`, and whole data sets."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core import __version__
from detection_core.detections import Detections
from detection_core.detections.coco_names import UNUSED
from detection_core.formats.json_writing import JsonList
from detection_core.formats.numbering import Category, Id, Numbering, highest, shortened_list
from detection_core.formats.provenance import Provenance
from detection_core.formats.result import ImageResult
from detection_core.formats.rle import area_of, encode
from detection_core.formats.target import Target
from detection_core.visualization import EDGES, AnnotationStyle

RESULTS_FILE = "coco_results.json"
DATASET_FILE = "coco_dataset.json"
# COCO's visibility flags for a keypoint that is not labeled, and for one that is labeled and visible.
_NOT_LABELED, _VISIBLE = 0, 2
NO_RESULTS = (
    "No object is in the COCO results. pycocotools' loadRes fails on an empty list: evaluate COCO() instead of its result, which gives an "
    "AP of 0, or lower the threshold."
)


def to_coco_results(detections: Detections, image_id: Id, *, numbering: Numbering | None = None) -> list[dict[str, Any]]:
    """Converts one image's detections to COCO's results format, as read by `COCO.loadRes`.

    Args:
        detections: The result.
        image_id: Id of the image in the data set.
        numbering: The ids of categories, without which they are the model's. Objects of classes that its file lacks are left out.

    Returns:
        One entry per object: `image_id`, `category_id`, `score`, `bbox` (XYWH) and, if the model predicts them, `segmentation`
        (compressed run-length encoding) and `keypoints` (flat x, y, 1, as in COCO's results), with their logits in
        `keypoint_scores`, which COCO's tools ignore. An object without keypoints has neither key.
        `COCOeval` measures keypoints of the categories in its `params.catIds`, which must be the categories with keypoints.
    """
    ids = detections.ids_of_labels if numbering is None else numbering.category_ids(detections)
    known = np.array([ids[label] is not None for label in detections.labels], np.bool_)
    if not known.all():
        detections = detections[known]
    entries = []
    masks = encode(detections) if detections.masks is not None else None
    for index, has_keypoints in enumerate(detections.has_keypoints):
        entry: dict[str, Any] = {
            "image_id": image_id,
            "category_id": ids[detections.labels[index]],
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
    """Writes one results file.

    With an annotation file, images and classes that it does not have are left out: `COCO.loadRes` refuses other images, and any id of
    another class could be that of one of the file's.
    """

    def __init__(self, target: Target, style: AnnotationStyle, numbering: Numbering) -> None:
        self._target = target
        self._numbering = numbering
        self._entries = JsonList("[")
        self._images = 0
        self._left_out: Counter[str] = Counter()
        self._other_sizes: list[str] = []

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result."""
        self._images += 1
        found, image_id = result.detections, result.image_id
        if image_id is None:
            if self._numbering.file:
                return
            image_id = self._images
        height, width = found.image_size
        listed = self._numbering.sizes.get(image_id, (width, height))
        if listed != (width, height):
            self._other_sizes.append(f"{result.file_name} ({width}×{height} instead of {listed[0]}×{listed[1]})")
        entries = to_coco_results(found, image_id, numbering=self._numbering)
        for entry in entries:
            self._entries.append({"file_name": result.file_name, **entry})
        if len(entries) < len(found):
            ids = self._numbering.category_ids(found)
            self._left_out.update(found.categories[label] for label in found.labels if ids[label] is None)

    def finish(self) -> list[str]:
        """Writes the file."""
        with self._entries.end("]") as file:
            self._target.write(RESULTS_FILE, file)
        return self._notes()

    def _notes(self) -> list[str]:
        file, notes = self._numbering.file, []
        if number := len(self._other_sizes):
            images = f"{number} image{'s have' if number != 1 else ' has'} another size than {file} says, so boxes may not correspond"
            notes.append(f"{images}: {shortened_list(self._other_sizes, 3)}. Check that they are the same images.")
        if number := self._left_out.total():
            objects = f"{number} object{'s are' if number != 1 else ' is'} left out of the COCO results"
            classes = shortened_list([f"{name} ({count})" for name, count in self._left_out.most_common()])
            notes.append(f"{objects}, as {file} has no category for {classes}.")
        if not self._entries.length:
            notes.append(NO_RESULTS)
        return notes


class DatasetWriter:
    """Writes one data set file: images, objects, classes and provenance.

    For frames of videos it also writes `videos`, as in data sets for tracking: frames have a video and a time, objects a track id.
    Images and classes that the user's annotation file does not have get free ids.
    """

    def __init__(self, target: Target, style: AnnotationStyle, numbering: Numbering) -> None:
        self._target = target
        self._numbering = numbering
        self._first_free = numbering.first_free
        self._keypoint_threshold = style.keypoint_threshold
        self._annotations = JsonList('{"annotations": [')
        self._images = JsonList("[")
        self._videos: dict[str, dict[str, Any]] = {}
        self._categories: dict[str, dict[str, Any]] = {}
        self._provenances: list[Provenance] = []
        self._ids: dict[str, Any] = {}

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result."""
        found = result.detections
        height, width = found.image_size
        size = {"width": width, "height": height}
        number, frame = self._number(result), result.frame
        if frame is None:
            self._images.append({"id": number, "file_name": result.file_name, **size})
        else:
            video = {"id": len(self._videos) + 1, "name": result.file_name, "file_name": result.file_name, **size, **asdict(frame.video)}
            video_id = self._videos.setdefault(result.file_name, video)["id"]
            facts = {"video_id": video_id, "frame_id": frame.index, "time_s": frame.time_s}
            self._images.append({"id": number, "file_name": f"{stem}.jpg", **size, **facts})
        if not self._ids:
            sentence = self._numbering.sentence(found.categories, found.category_ids)
            self._ids = {"ids": sentence, "notes": list(self._numbering.notes)}
        self._add_categories(found)
        for index, entry in enumerate(to_coco_results(found, number)):
            self._annotations.append(self._annotation(entry, found, index) | (frame.track(index) if frame else {}))
        if result.provenance and not any(known.same_run(result.provenance) for known in self._provenances):
            self._provenances.append(result.provenance)

    def _number(self, result: ImageResult) -> Id:
        if result.image_id is not None:
            return result.image_id
        self._first_free += 1
        return self._first_free - 1

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
        """Adds a model's classes with the user's or their own ids; other new classes get free ids. Equal names are one class."""
        occurring = set(found.names)
        for label, name in enumerate(found.categories):
            if name not in self._categories and (name in occurring or (label and name != UNUSED)):
                if own := self._numbering.category(name):
                    self._categories[name] = own._asdict()
                    continue
                taken = {category["id"] for category in (*self._categories.values(), *map(Category._asdict, self._numbering.categories))}
                wanted = found.ids_of_labels[label]
                self._categories[name] = {"id": highest(taken) + 1 if wanted in taken else wanted, "name": name}
        # A model may predict keypoints for some of its classes only; the objects show which.
        for label in set(found.labels[found.has_keypoints].tolist()):
            keypoints = {"keypoints": list(found.keypoint_names), "skeleton": _skeleton(found.keypoint_names)}
            self._categories[found.categories[label]] |= keypoints

    def finish(self) -> list[str]:
        """Writes the file."""
        info: dict[str, Any] = {"description": "Detections, not annotations by people", "version": __version__}
        if self._ids:
            info["numbering"] = self._ids
        rest = {
            **({"videos": list(self._videos.values())} if self._videos else {}),
            # Two of the model's classes may be one of the user's.
            "categories": list({category["id"]: category for category in self._categories.values()}.values()),
            "info": info | {"provenance": [provenance.to_json() for provenance in self._provenances]},
        }
        self._annotations.take_over(self._images, '], "images": ')
        with self._annotations.end("], " + json.dumps(rest)[1:]) as file:
            self._target.write(DATASET_FILE, file)
        return []


def _skeleton(names: tuple[str, ...]) -> list[list[int]]:
    """Returns the limbs in COCO's format: pairs of keypoints counted from 1."""
    return [[names.index(start) + 1, names.index(end) + 1] for start, end in EDGES if start in names and end in names]
