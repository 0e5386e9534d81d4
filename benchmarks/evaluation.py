"""Times an evaluation of random detections against pycocotools, and a move of a threshold: `python -m benchmarks.evaluation`."""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.common import interleaved, machine_facts, markdown_table, median_and_range
from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.evaluation.average_precision import class_figures
from detection_core.evaluation.bootstrap import resample
from detection_core.evaluation.confusion import Confusions
from detection_core.evaluation.curves import Curves
from detection_core.evaluation.found import Found
from detection_core.evaluation.ground_truth import GroundTruth
from detection_core.evaluation.match import match

_SIZE = (640, 480)
_CLASSES, _OBJECTS = 80, 7

Entry = dict[str, Any]


def random_data(images: int, detections: int, seed: int = 0) -> tuple[CocoDataset, dict[int, list[Entry]]]:
    """Makes objects of all sizes, and detections of which a third are near an object of their class."""
    rng = np.random.default_rng(seed)
    annotated, results, number = [], {}, 0
    for image_id in range(1, images + 1):
        # Images show few of the classes.
        classes = rng.choice(_CLASSES, 4, replace=False) + 1
        boxes, labels = _boxes(rng, _OBJECTS), rng.choice(classes, _OBJECTS)
        objects = []
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            number += 1
            objects.append({"id": number, "image_id": image_id, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        near = rng.integers(0, _OBJECTS, detections)
        is_near = rng.random(detections) < 1 / 3
        moved = boxes[near] + rng.normal(0, 0.08, (detections, 4)) * np.tile(boxes[near, 2:], 2)
        found = np.where(is_near[:, None], moved, _boxes(rng, detections)).clip(1)
        kinds = np.where(is_near, labels[near], rng.choice(np.append(classes, rng.integers(1, _CLASSES + 1, 4)), detections))
        scores = rng.beta(1 + 2 * is_near, 4).tolist()
        results[image_id] = [
            {"image_id": image_id, "category_id": label, "bbox": box, "score": score}
            for box, label, score in zip(found.tolist(), kinds.tolist(), scores, strict=True)
        ]
        annotated.append(AnnotatedImage(image_id, Path(f"{image_id}.jpg"), _SIZE, tuple(objects), file_name=f"{image_id}.jpg"))
    names = ("__background__", *(f"class {label}" for label in range(1, _CLASSES + 1)))
    return CocoDataset(tuple(annotated), names, tuple(range(_CLASSES + 1))), results


def _boxes(rng: np.random.Generator, number: int) -> np.ndarray:
    sides = np.exp(rng.uniform(np.log(8), np.log(300), (number, 2)))
    corners = rng.random((number, 2)) * np.maximum(np.array(_SIZE) - sides, 1)
    return np.concatenate([corners, sides], axis=1)


def our_figures(dataset: CocoDataset, results: dict[int, list[Entry]]) -> dict[str, float | None]:
    """COCO's figures as this project computes them, from entries in COCO's formats."""
    truth = GroundTruth.of(dataset, "bbox")
    labels = {label: label for label in range(1, len(dataset.categories))}
    return class_figures(match(truth, Found.of(truth, results.items(), labels))).summary


def reference_figures(dataset: CocoDataset, results: dict[int, list[Entry]]) -> list[float]:
    """The same as pycocotools computes them."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image.id, "width": image.size[0], "height": image.size[1]} for image in dataset.images],
            "annotations": [dict(entry) for image in dataset.images for entry in image.annotations],
            "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.categories) if label],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes([dict(entry) for entries in results.values() for entry in entries]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="detections of an image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resamples", type=int, default=200, help="resampled sets of images for the intervals")
    parser.add_argument("--moves", type=int, default=50, help="moves of the threshold")
    args = parser.parse_args()
    print(machine_facts(1))
    dataset, results = random_data(args.images, args.detections)
    ours, reference = our_figures(dataset, results), reference_figures(dataset, results)
    names = ["AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR", "ARS", "ARM", "ARL"]
    difference = max(abs((ours[name] or 0) - value) for name, value in zip(names, reference, strict=True))
    print(f"{args.images:,} images with {args.detections} detections of {_CLASSES} classes: AP {ours['AP']:.3f}.")
    print(f"Largest difference from pycocotools: {difference:.1e}.")
    actions: list[Callable[[], object]] = [lambda: our_figures(dataset, results), lambda: reference_figures(dataset, results)]
    seconds = interleaved(actions, args.rounds)
    rows = [[name, median_and_range(own, 1)] for name, own in zip(["this project", "pycocotools"], seconds, strict=True)]
    print(markdown_table(["evaluation", "seconds"], rows))
    print(f"Ratio of the medians: {statistics.median(seconds[1]) / statistics.median(seconds[0]):.1f}.")

    truth = GroundTruth.of(dataset, "bbox")
    matches = match(truth, Found.of(truth, results.items(), {label: label for label in range(1, _CLASSES + 1)}))
    resampling = interleaved([lambda: resample(matches, args.resamples)], args.rounds)[0]
    print(f"Intervals from {args.resamples} resampled sets of images: {median_and_range(resampling, 1)} s.")
    curves, confusions = Curves(matches), Confusions(matches)
    thresholds = iter(np.random.default_rng(0).random(2 * args.moves + 2).tolist())
    moves = interleaved([lambda: curves.at(next(thresholds)), lambda: confusions.at(next(thresholds))], args.moves)
    milliseconds = [[1000 * value for value in own] for own in moves]
    rows = [[name, median_and_range(own, 1)] for name, own in zip(["precision, recall, F1", "confusion"], milliseconds, strict=True)]
    print(markdown_table(["a move of the threshold", "milliseconds"], rows))


if __name__ == "__main__":
    main()
