"""Random annotated images and detections on them, without image files, and what pycocotools makes of them."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.evaluation.found import FIELD, Found
from detection_core.evaluation.ground_truth import GroundTruth, IouType
from detection_core.evaluation.match import Matches, match

SIZE = (240, 200)


@dataclass(frozen=True)
class Scene:
    """A data set, and one model's entries in COCO's results format by image."""

    dataset: CocoDataset
    results: dict[int, list[dict[str, Any]]]

    @property
    def labels(self) -> dict[int, int]:
        return {label: label for label in range(1, len(self.dataset.categories))}

    def truth(self, iou_type: IouType = "bbox") -> GroundTruth:
        return GroundTruth.of(self.dataset, iou_type)

    def matches(self, iou_type: IouType = "bbox", **options: Any) -> Matches:
        truth = self.truth(iou_type)
        return match(truth, Found.of(truth, self.results.items(), self.labels), **options)

    def reference(self, iou_type: IouType = "bbox") -> COCOeval:
        """pycocotools' own evaluation of the same annotations and results."""
        images = [{"id": image.id, "width": image.size[0], "height": image.size[1]} for image in self.dataset.images]
        annotations = [
            {**entry, "iscrowd": int(is_crowd), "num_keypoints": sum(v > 0 for v in entry.get("keypoints", [])[2::3])}
            for image in self.dataset.images
            for is_crowd, part in enumerate((image.annotations, image.crowds))
            for entry in part
        ]
        categories = [{"id": label, "name": name} for label, name in enumerate(self.dataset.categories) if label]
        field = FIELD[iou_type]
        entries = [
            {key: entry[key] for key in ("image_id", "category_id", "score", field)}
            for each in self.results.values()
            for entry in each
            if field in entry
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            truth, found = COCO(), COCO()
            truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
            truth.createIndex()
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(entries) if entries else found, iou_type)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return evaluation


def make(objects: dict[int, list[dict[str, Any]]], results: dict[int, list[dict[str, Any]]], classes: int = 2, **given: Any) -> Scene:
    """A scene of hand-made entries by image id; what is left out is filled in."""
    images, number = [], 0
    for image_id, entries in objects.items():
        full = []
        for entry in entries:
            number += 1
            box = entry["bbox"]
            full.append({"id": number, "image_id": image_id, "category_id": 1, "area": box[2] * box[3], **entry})
        single = tuple(entry for entry in full if not entry.get("iscrowd"))
        crowds = tuple(entry for entry in full if entry.get("iscrowd"))
        masks = all("segmentation" in entry for entry in single)
        images.append(AnnotatedImage(image_id, Path(f"{image_id}.png"), SIZE, single, crowds, has_masks=masks, file_name=f"{image_id}.png"))
    names = ("__background__", *(f"class {label}" for label in range(1, classes + 1)))
    dataset = CocoDataset(tuple(images), names, tuple(range(classes + 1)), **given)
    full_results = {
        image_id: [{"image_id": image_id, "category_id": 1, **entry} for entry in entries] for image_id, entries in results.items()
    }
    return Scene(dataset, full_results)


def random_scene(
    seed: int, *, images: int = 12, classes: int = 3, most_objects: int = 8, most_found: int = 25, kinds: bool = True
) -> Scene:
    """Objects of all sizes and crowds, on images of which some are empty; detections near objects and anywhere, some with equal scores."""
    rng = np.random.default_rng(seed)
    objects: dict[int, list[dict[str, Any]]] = {}
    results: dict[int, list[dict[str, Any]]] = {}
    # Ids in no order, as in COCO's own files.
    for image_id in rng.permutation(np.arange(1, images + 1) * 7).tolist():
        entries = [_object(rng, classes, kinds) for _ in range(int(rng.integers(0, most_objects + 1)))]
        objects[image_id] = entries
        found = []
        for _ in range(int(rng.integers(0, most_found + 1))):
            near = entries[int(rng.integers(len(entries)))] if entries and rng.random() < 0.7 else None
            found.append(_detection(rng, near, classes, kinds))
        results[image_id] = found
    return make(objects, results, classes, keypoint_names=tuple(COCO_KEYPOINTS) if kinds else ())


def _object(rng: np.random.Generator, classes: int, kinds: bool) -> dict[str, Any]:
    side = rng.choice([10, 24, 32, 60, 96, 140])
    width, height = np.maximum(rng.integers(side // 2, side + 1, 2), 4).tolist()
    x, y = float(rng.integers(0, SIZE[0] - width + 1)), float(rng.integers(0, SIZE[1] - height + 1))
    entry: dict[str, Any] = {"bbox": [x, y, float(width), float(height)], "category_id": int(rng.integers(1, classes + 1))}
    entry["iscrowd"] = int(rng.random() < 0.1)
    if kinds:
        entry["segmentation"] = _mask(entry["bbox"])
        entry["area"] = float(coco_mask.area(entry["segmentation"]))
        # COCO's crowds have no keypoints.
        labeled = rng.choice([0, 1, 2], 17) if rng.random() < 0.8 and not entry["iscrowd"] else np.zeros(17)
        points = np.stack([x + width * rng.random(17), y + height * rng.random(17), labeled], axis=1)
        entry["keypoints"] = (points * (labeled > 0)[:, None]).ravel().tolist()
    return entry


def _detection(rng: np.random.Generator, near: dict[str, Any] | None, classes: int, kinds: bool) -> dict[str, Any]:
    base = _object(rng, classes, kinds) if near is None else near
    x, y, width, height = base["bbox"]
    shift = rng.integers(-4, 5, 4) * max(1, int(width) // 24)
    box = [x + int(shift[0]), y + int(shift[1]), max(2.0, width + int(shift[2])), max(2.0, height + int(shift[3]))]
    entry: dict[str, Any] = {"bbox": [float(value) for value in box]}
    entry["category_id"] = base["category_id"] if rng.random() < 0.85 else int(rng.integers(1, classes + 1))
    entry["score"] = float(np.round(rng.random(), 1))
    if kinds:
        entry["segmentation"] = _mask(box)
        points = np.array(base["keypoints"]).reshape(-1, 3)[:, :2] + rng.normal(0, 0.05, (17, 2)) * (width, height)
        entry["keypoints"] = np.column_stack([points, np.ones(17)]).ravel().tolist()
    return entry


def _mask(box: list[float]) -> dict[str, Any]:
    """An ellipse in the box, as compressed run lengths."""
    x, y, width, height = box
    columns, rows = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    inside = ((columns - x - width / 2) / (width / 2)) ** 2 + ((rows - y - height / 2) / (height / 2)) ** 2 <= 1
    run = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": list(run["size"]), "counts": run["counts"].decode()}
