"""Evaluates a model on annotated images: COCO's average precision of boxes, masks and keypoints, and the threshold of the best F1."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.datasets.images import read_upright
from detection_core.datasets.normalization import Entry
from detection_core.detections import Detections
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.formats import to_coco_results
from detection_core.models.catalog import Task

# COCOeval's name of a task, the field of its results, and the catalog's name of its average precision.
_TASKS: dict[Task, tuple[str, str, str]] = {
    "boxes": ("bbox", "bbox", "box_map"),
    "masks": ("segm", "segmentation", "mask_map"),
    "keypoints": ("keypoints", "keypoints", "kp_map"),
}
# Indices into `COCOeval.stats`; keypoints have no figure for small objects.
_STATS = {"ap": 0, "ap50": 1, "small": 3, "medium": 4, "large": 5}
_KEYPOINT_STATS = {"ap": 0, "ap50": 1, "medium": 3, "large": 4}
# COCO measured the disagreement of annotators only for its own 17 keypoints; others get a value between its shoulders and wrists.
_OTHER_SIGMA = 0.07


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's figures of one task, in percent; None if there are no objects.

    Attributes:
        ap: Mean over IoU (or object keypoint similarity) 0.50, 0.55 … 0.95 and over classes.
        ap50: At 0.50 only.
        small: AP of objects below 32² pixels of area.
        medium: AP of objects up to 96².
        large: AP of larger objects.
        images: Number of images measured.
    """

    ap: float | None
    ap50: float | None
    small: float | None
    medium: float | None
    large: float | None
    images: int


@dataclass(frozen=True)
class OperatingPoint:
    """Precision, recall and F1 of boxes at one score threshold, at an IoU of 0.5, for all classes together, each 0–1."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        tasks: Average precision by task: boxes, and masks and keypoints if both model and annotations have them.
        points: One for every threshold that changes the result, highest first.
    """

    tasks: dict[Task, AveragePrecision]
    points: tuple[OperatingPoint, ...]

    def metrics(self) -> dict[str, float]:
        """Returns average precisions in percent under the catalog's names: `box_map`, `mask_map`, `kp_map`."""
        return {_TASKS[task][2]: round(figures.ap, 2) for task, figures in self.tasks.items() if figures.ap is not None}

    def figures(self) -> dict[str, dict[str, float | None]]:
        """Returns all figures as plain types, by task."""
        return {task: asdict(figures) for task, figures in self.tasks.items()}

    def best(self) -> OperatingPoint | None:
        """Returns the point of the highest F1, or None if nothing was detected correctly."""
        return max((point for point in self.points if point.f1), key=lambda point: point.f1, default=None)

    def default_threshold(self, floor: float) -> float | None:
        """Returns the threshold of the highest F1 in steps of 0.05, the middle one of several; None if nothing is detected correctly.

        Args:
            floor: The model's lowest score, the lower bound of the threshold.
        """
        steps = [step / 20 for step in range(1, 20) if step / 20 >= floor]
        highest = max((self.at(step).f1 for step in steps), default=0.0)
        if not highest:
            return None
        equals = [step for step in steps if self.at(step).f1 == highest]
        return equals[len(equals) // 2]

    def at(self, threshold: float) -> OperatingPoint:
        """Returns the figures of boxes at a threshold."""
        kept = [point for point in self.points if point.threshold >= threshold]
        return OperatingPoint(threshold, kept[-1].precision, kept[-1].recall, kept[-1].f1) if kept else OperatingPoint(threshold, 0, 0, 0)


def evaluate(
    dataset: CocoDataset,
    detect: Callable[[NDArray[np.uint8]], Detections],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Runs a model on annotated images and measures it as COCO does.

    Classes are matched by name; detections of other classes are left out. Masks are measured on the images that have them, keypoints if
    they are annotated, for the objects detected with keypoints. Crowds are ignored. Images are read as for training: see `read_upright`.

    Args:
        dataset: Images and their annotations.
        detect: Returns all detections in an image, stored pixels as RGB uint8 [H,W,3], down to the model's lowest score.
        on_progress: Called with the number of images done and their total.
    """
    results: list[dict[str, Any]] = []
    given: set[Task] = {"boxes"}
    for number, image in enumerate(dataset.images, start=1):
        found = detect(np.asarray(read_upright(image)))
        given |= {task for task, value in (("masks", found.masks), ("keypoints", found.keypoints)) if value is not None}  # type: ignore[misc]
        results += _results(found, image, dataset)
        if on_progress:
            on_progress(number, len(dataset.images))
    images: dict[Task, list[AnnotatedImage]] = {
        "boxes": list(dataset.images),
        "masks": [image for image in dataset.images if image.has_masks and image.annotations],
        "keypoints": [image for image in dataset.images if dataset.keypoint_names],
    }
    tasks: dict[Task, AveragePrecision] = {}
    points: tuple[OperatingPoint, ...] = ()
    for task in _TASKS:
        if task in given and images[task]:
            figures, evaluation = _average_precision(task, results, images[task], dataset)
            tasks[task] = figures
            points = _operating_points(evaluation) if task == "boxes" else points
    return Evaluation(tasks, points)


def _results(found: Detections, image: AnnotatedImage, dataset: CocoDataset) -> list[dict[str, Any]]:
    """Converts detections to COCO results whose category is the data set's label."""
    label_of = {name: label for label, name in enumerate(dataset.categories)}
    entries = to_coco_results(found, image.id)
    labels = [label_of.get(found.categories[label]) for label in found.labels]
    return [{**entry, "category_id": label} for entry, label in zip(entries, labels, strict=True) if label]


def _average_precision(
    task: Task, results: Sequence[dict[str, Any]], images: Sequence[AnnotatedImage], dataset: CocoDataset
) -> tuple[AveragePrecision, COCOeval]:
    kind, part, _ = _TASKS[task]
    chosen = {image.id for image in images}
    # Each task separately: loadRes takes an object's area from its box if there is one, even for masks.
    keys = ("image_id", "category_id", "score", part)
    entries = [{key: entry[key] for key in keys} for entry in results if entry["image_id"] in chosen and part in entry]
    places = _KEYPOINT_STATS if task == "keypoints" else _STATS
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _coco(images, dataset, _truth(task, images, dataset))
        # loadRes does not accept an empty list.
        evaluation = COCOeval(truth, truth.loadRes(entries) if entries else _coco(images, dataset, []), kind)
        if task == "keypoints" and dataset.keypoint_names != COCO_KEYPOINTS:
            evaluation.params.kpt_oks_sigmas = np.full(len(dataset.keypoint_names), _OTHER_SIGMA)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # COCOeval returns -1 if there are no objects.
    figures = {name: 100 * float(evaluation.stats[place]) if evaluation.stats[place] >= 0 else None for name, place in places.items()}
    return AveragePrecision(**{"small": None, **figures}, images=len(images)), evaluation


def _coco(images: Sequence[AnnotatedImage], dataset: CocoDataset, annotations: list[Entry]) -> COCO:
    """Makes a pycocotools `COCO` object of annotations or results."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image.id, "width": image.size[0], "height": image.size[1]} for image in images],
        "annotations": annotations,
        "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.categories) if label],
    }
    coco.createIndex()
    return coco


def _truth(task: Task, images: Sequence[AnnotatedImage], dataset: CocoDataset) -> list[Entry]:
    """Renumbers COCO's entries with the data set's labels as categories, keeping only the fields of the task, which were checked."""
    annotations: list[Entry] = []
    for image in images:
        for is_crowd, entries in enumerate((image.annotations, image.crowds)):
            for entry in entries:
                x, y, width, height = entry["bbox"]
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": image.id,
                    "category_id": dataset.labels[entry["category_id"]],
                    "iscrowd": is_crowd,
                    "bbox": entry["bbox"],
                    "area": entry.get("area", width * height),
                }
                if task == "masks":
                    # A crowd without a segmentation covers its box.
                    outline = [[x, y, x + width, y, x + width, y + height, x, y + height]]
                    annotation["segmentation"] = entry.get("segmentation") or outline
                if task == "keypoints":
                    keypoints = (not is_crowd and entry.get("keypoints")) or [0] * 3 * len(dataset.keypoint_names)
                    # The file's own count may be missing or wrong, and COCOeval ignores objects with a count of 0.
                    annotation |= {"keypoints": keypoints, "num_keypoints": sum(visibility > 0 for visibility in keypoints[2::3])}
                annotations.append(annotation)
    return annotations


def _operating_points(evaluation: COCOeval) -> tuple[OperatingPoint, ...]:
    """Returns the figures of boxes at every threshold; crowds and detections in them are ignored, as in COCOeval."""
    # evalImgs is ordered by class, area ("all" first) and image; the first IoU is 0.5.
    images, areas = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    parts = [
        part
        for number in range(len(evaluation.params.catIds))
        for part in evaluation.evalImgs[number * areas * images : (number * areas + 1) * images]
        if part
    ]
    objects = sum(int((np.asarray(part["gtIgnore"]) == 0).sum()) for part in parts)
    if not parts or not objects:
        return ()
    scores = np.concatenate([part["dtScores"] for part in parts])
    right = np.concatenate([part["dtMatches"][0] > 0 for part in parts])
    counts = ~np.concatenate([part["dtIgnore"][0] for part in parts]).astype(bool)
    order = np.argsort(-scores[counts], kind="stable")
    scores, right = scores[counts][order], np.cumsum(right[counts][order])
    number = np.arange(1, len(scores) + 1)
    return tuple(
        OperatingPoint(float(score), float(hits / n), float(hits / objects), float(2 * hits / (n + objects)))
        for score, hits, n in zip(scores, right, number, strict=True)
    )
