"""An evaluation as plain columns for the browser, which computes everything that depends on a threshold from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation import Evaluated, ModelEvaluation
from detection_core.evaluation.confusion import crossing_pairs
from detection_core.evaluation.match import Matches
from detection_core.ui.evaluate.store import VisitorEvaluation

# Of one model, the ones with the highest scores: ten times as many as the browser needs for 50 ms a move, and 10 MB.
MOST_DETECTIONS = 60_000


def result_payload(entry: VisitorEvaluation, evaluated: Evaluated, iou: float, tasks: Sequence[str]) -> dict[str, Any]:
    """Everything that the view shows of an evaluation.

    Args:
        entry: The visitor's evaluation.
        evaluated: Its results.
        iou: Lowest IoU of a match for everything but average precision.
        tasks: What can be compared on the data.
    """
    truth = evaluated.truth
    titles = entry.titles
    images, objects = len(truth.images), int(truth.objects.sum())
    notes = [*evaluated.notes]
    if entry.is_sample:
        notes.insert(0, f"This is the built-in sample. Figures from so few images ({images}) and objects ({objects}) mean little.")
    return {
        "evaluation": entry.token,
        "name": entry.name,
        "is_sample": entry.is_sample,
        "iou_type": truth.iou_type,
        "tasks": list(tasks),
        "iou": iou,
        "resamples": max((model.resamples for model in evaluated.models), default=0),
        "images": [{"name": image.file_name.rsplit("/", 1)[-1], "width": image.size[0], "height": image.size[1]} for image in truth.images],
        "categories": list(truth.categories),
        "objects": {
            "image": truth.image.tolist(),
            "label": truth.label.tolist(),
            "ignored": truth.ignored.astype(int).tolist(),
            "box": _boxes(truth.boxes),
        },
        "models": [
            _model(model, iou, titles.get(model.name, model.name)) | {"linkable": model.name in entry.models} for model in evaluated.models
        ],
        "differences": [_difference(evaluated, a, b) for a, b in evaluated.pairs()],
        "failed": [{"name": titles.get(name, name), "reason": reason} for name, reason in evaluated.failed.items()],
        "notes": notes,
    }


def _difference(evaluated: Evaluated, a: ModelEvaluation, b: ModelEvaluation) -> dict[str, Any]:
    difference, bounds = evaluated.difference(a, b)
    return {"a": a.name, "b": b.name, "ap": difference, "interval": bounds and list(bounds)}


def _model(model: ModelEvaluation, iou: float, title: str) -> dict[str, Any]:
    bounds = model.resampled.intervals() if model.resamples else {}
    matches, index = model.matches_at(iou)
    detections, floor = detection_columns(matches, index)
    notes = list(model.notes)
    if floor > 0:
        notes.append(f"Only its {MOST_DETECTIONS:,} detections with the highest scores can be explored, down to a score of {floor:.2f}.")
    return {
        "name": model.name,
        "title": title,
        "threshold": model.threshold,
        "floor": floor,
        "summary": model.figures.summary,
        "intervals": {name: list(found) for name, found in bounds.items() if found},
        "classes": [_class_row(model, label) for label in np.flatnonzero(model.matches.objects[0]).tolist()],
        "errors": {
            size: {"ap": kinds.ap, "kinds": {str(kind): [count, kinds.gains[kind]] for kind, count in kinds.counts.items()}}
            for size, kinds in model.error_kinds.items()
        },
        "cost": {"seconds": model.cost.seconds, "memory": model.cost.memory, "file_size": model.cost.file_size},
        "partners": model.mapping.partners,
        "left_out": list(model.mapping.left_out),
        "not_detected": list(model.mapping.not_detected),
        "notes": notes,
        "detections": detections,
    }


def _class_row(model: ModelEvaluation, label: int) -> dict[str, Any]:
    bounds = model.resampled.intervals(label)["AP"] if model.resamples else None
    row = {"label": label, "objects": int(model.matches.objects[0, label]), "interval": bounds and list(bounds)}
    return row | model.figures.of_class(label)


def detection_columns(matches: Matches, index: int, most: int = MOST_DETECTIONS) -> tuple[dict[str, Any], float]:
    """The detections of a model, by falling score, and the lowest threshold down to which they are complete.

    Args:
        matches: The matched detections.
        index: Index of the IoU in `matches.thresholds`.
        most: About how many detections.

    Returns:
        Columns: `score`, `label`, `image`, `box`, `partner` (the object that it finds, or -1), `ignored`; and `pairs`, a flat list of a
        detection and an object of another class that overlap, the highest IoU first.
    """
    order, floor = shown_order(matches, most)
    place = np.full(len(matches.found), -1)
    place[matches.detection[order]] = np.arange(len(order))
    detections, objects = crossing_pairs(matches, index)
    kept = place[detections] >= 0
    right = matches.right[0, index, order]
    columns = {
        "score": matches.scores[order].tolist(),
        "label": matches.label[order].tolist(),
        "image": matches.image[order].tolist(),
        "box": _boxes(matches.found.boxes[matches.detection[order]]),
        "partner": np.where(right, matches.partner[0, index, order], -1).tolist(),
        "ignored": matches.ignored[0, index, order].astype(int).tolist(),
        "pairs": np.column_stack([place[detections[kept]], objects[kept]]).ravel().tolist(),
    }
    return columns, floor


def shown_order(matches: Matches, most: int = MOST_DETECTIONS) -> tuple[NDArray[np.int64], float]:
    """The detections that the browser gets, by falling score, and the lowest threshold down to which they are complete."""
    order = np.argsort(-matches.scores, kind="stable")
    if len(order) <= most:
        return order, 0.0
    # Detections of one score stay together.
    floor = float(np.nextafter(matches.scores[order[most]], 2))
    return order[matches.scores[order] >= floor], floor


def _boxes(boxes: NDArray[np.float64]) -> list[list[float] | None]:
    """Boxes [x, y, width, height] to a tenth of a pixel; None where there is none."""
    rows: list[list[float]] = np.round(boxes, 1).tolist()
    return [None if row[0] != row[0] else row for row in rows]
