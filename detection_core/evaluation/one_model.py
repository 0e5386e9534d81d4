"""Measures a model while it is trained: COCO's average precision of boxes, masks and keypoints, and the threshold of the best F1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.datasets.images import read_upright
from detection_core.detections import Detections
from detection_core.evaluation.average_precision import class_figures
from detection_core.evaluation.found import Found
from detection_core.evaluation.ground_truth import IOU_TYPES, GroundTruth
from detection_core.evaluation.match import Matches, match
from detection_core.formats import to_coco_results
from detection_core.models.catalog import Task

# The catalog's names of a task's average precision.
_METRICS: dict[Task, str] = {"boxes": "box_map", "masks": "mask_map", "keypoints": "kp_map"}
_FIGURES = {"ap": "AP", "ap50": "AP50", "small": "APS", "medium": "APM", "large": "APL"}


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
    """The result of `evaluate_model`.

    Attributes:
        tasks: Average precision by task: boxes, and masks and keypoints if both model and annotations have them.
        points: One for every threshold that changes the result, highest first.
    """

    tasks: dict[Task, AveragePrecision]
    points: tuple[OperatingPoint, ...]

    def metrics(self) -> dict[str, float]:
        """Returns average precisions in percent under the catalog's names: `box_map`, `mask_map`, `kp_map`."""
        return {_METRICS[task]: round(figures.ap, 2) for task, figures in self.tasks.items() if figures.ap is not None}

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


def evaluate_model(
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
    results: list[tuple[int, list[dict[str, Any]]]] = []
    given: set[Task] = {"boxes"}
    for number, image in enumerate(dataset.images, start=1):
        found = detect(np.asarray(read_upright(image)))
        given |= {task for task, value in (("masks", found.masks), ("keypoints", found.keypoints)) if value is not None}  # type: ignore[misc]
        results.append((image.id, _results(found, image, dataset)))
        if on_progress:
            on_progress(number, len(dataset.images))
    images: dict[Task, list[AnnotatedImage]] = {
        "boxes": list(dataset.images),
        "masks": [image for image in dataset.images if image.has_masks and image.annotations],
        "keypoints": [image for image in dataset.images if dataset.keypoint_names],
    }
    labels = {label: label for label in range(1, len(dataset.categories))}
    tasks: dict[Task, AveragePrecision] = {}
    points: tuple[OperatingPoint, ...] = ()
    for task, iou_type in IOU_TYPES.items():
        if task in given and images[task]:
            truth = GroundTruth.of(dataset, iou_type, images[task])
            matches = match(truth, Found.of(truth, results, labels))
            summary = class_figures(matches).summary
            percent = {name: None if (value := summary.get(figure)) is None else 100 * value for name, figure in _FIGURES.items()}
            tasks[task] = AveragePrecision(**percent, images=len(truth.images))
            points = _operating_points(matches) if task == "boxes" else points
    return Evaluation(tasks, points)


def _results(found: Detections, image: AnnotatedImage, dataset: CocoDataset) -> list[dict[str, Any]]:
    """Converts detections to COCO results whose category is the data set's label."""
    label_of = {name: label for label, name in enumerate(dataset.categories)}
    entries = to_coco_results(found, image.id)
    labels = [label_of.get(found.categories[label]) for label in found.labels]
    return [{**entry, "category_id": label} for entry, label in zip(entries, labels, strict=True) if label]


def _operating_points(matches: Matches) -> tuple[OperatingPoint, ...]:
    """Returns the figures of boxes at every threshold; crowds and detections in them are ignored, as in COCO's evaluation."""
    objects = int(matches.objects[0].sum())
    if not objects:
        return ()
    counts = ~matches.ignored[0, 0]
    order = np.argsort(-matches.scores[counts], kind="stable")
    scores, right = matches.scores[counts][order], np.cumsum(matches.right[0, 0][counts][order])
    number = np.arange(1, len(scores) + 1)
    return tuple(
        OperatingPoint(float(score), float(hits / n), float(hits / objects), float(2 * hits / (n + objects)))
        for score, hits, n in zip(scores, right, number, strict=True)
    )
