"""What kind each error is, and how much average precision each kind costs.

After D. Bolya, S. Foley, J. Hays, J. Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.average_precision import average_precision
from detection_core.evaluation.match import Matches
from detection_core.evaluation.overlaps import LOWEST_IOU


class ErrorKind(StrEnum):
    """A kind of error, in the order in which they are tested."""

    PLACE = "place"
    CLASS = "class"
    DUPLICATE = "duplicate"
    BACKGROUND = "background"
    BOTH = "both"
    MISSED = "missed"


_KINDS = tuple(ErrorKind)
_PLACE, _CLASS, _DUPLICATE, _BACKGROUND, _BOTH = range(5)


@dataclass(frozen=True, eq=False)
class ErrorKinds:
    """The errors of all detections down to the lowest score.

    Attributes:
        ap: Mean AP over the classes with objects, at one IoU, 0–1.
        gains: What would be added to it if all errors of a kind were corrected and nothing else, 0–1.
        counts: Number of errors of each kind.
        detection: int64 [E], indices into `Matches.found` of the wrong detections.
        kind: int64 [E], index of each one's kind in `ErrorKind`.
        missed: int64, indices into `Matches.truth` of the missed objects that no other error explains.
    """

    ap: float | None
    gains: dict[ErrorKind, float]
    counts: dict[ErrorKind, int]
    detection: NDArray[np.int64]
    kind: NDArray[np.int64]
    missed: NDArray[np.int64]


def error_kinds(matches: Matches, iou: int = 0, size: int = 0) -> ErrorKinds:
    """Sorts all errors by kind, as TIDE does.

    A wrong detection is a *place* error if its IoU with an object of its class lies between 0.1 and the threshold; else a *class* error if
    it would be right for another class; else a *duplicate* if its object is found by another one; else *background* if it overlaps nothing
    by more than 0.1; else *both* place and class. *Missed* are objects that no corrected place or class error would find. A place or class
    error is corrected by making the best one for a free object right and removing the others, a wrong detection of another kind by removing
    it, a missed object by not counting it. Detections that COCO ignores are no errors.

    Args:
        matches: The matched detections.
        iou: Index of the IoU threshold in `matches.thresholds`.
        size: Index of the object size in `matches.sizes`; objects of other sizes are ignored.
    """
    truth, found, threshold = matches.truth, matches.found, matches.thresholds[iou]
    counted, objects = ~matches.ignored_objects[:, size], matches.objects[size]
    is_right, is_ignored = matches.right[size, iou], matches.ignored[size, iou]
    used = np.zeros(len(truth), np.bool_)
    used[matches.partner[size, iou, is_right]] = True
    wrong = np.flatnonzero(~is_right & ~is_ignored)
    detections = matches.detection[wrong]
    best = _Best(matches, counted)
    own_iou, own = best.among(best.is_own, len(found))
    other_iou, other = best.among(~best.is_own, len(found))
    own_used, _ = best.among(best.is_own & used[best.object], len(found))
    kind = np.select(
        [
            (own_iou >= LOWEST_IOU) & (own_iou <= threshold),
            other_iou >= threshold,
            own_used >= threshold,
            np.maximum(own_iou, other_iou) <= LOWEST_IOU,
        ],
        [_PLACE, _CLASS, _DUPLICATE, _BACKGROUND],
        _BOTH,
    )[detections]
    target = np.select([kind == _PLACE, kind == _CLASS], [own[detections], other[detections]], -1)

    # Only the highest-scoring of the errors that could find a free object is made right.
    correctable = np.flatnonzero((target >= 0) & ~used[target])
    correctable = correctable[np.argsort(-matches.scores[wrong[correctable]], kind="stable")]
    _, first = np.unique(target[correctable], return_index=True)
    corrected = np.zeros(len(wrong), np.bool_)
    corrected[correctable[first]] = True
    missed = np.flatnonzero(counted & ~used & ~np.isin(np.arange(len(truth)), target[correctable]))

    base = _mean_ap(matches, is_right, matches.label, ~is_ignored, objects, objects)
    gains: dict[ErrorKind, float] = {}
    counts: dict[ErrorKind, int] = {}
    for number, name in enumerate(_KINDS):
        right, labels, kept, left = is_right.copy(), matches.label.copy(), ~is_ignored, objects
        if name is ErrorKind.MISSED:
            left = objects - np.bincount(truth.label[missed], minlength=len(objects))
            counts[name] = len(missed)
        else:
            chosen = kind == number
            repaired = chosen & corrected
            right[wrong[repaired]] = True
            labels[wrong[repaired]] = truth.label[target[repaired]]
            kept[wrong[chosen & ~corrected]] = False
            counts[name] = int(chosen.sum())
        fixed = _mean_ap(matches, right, labels, kept, left, objects)
        # Mending can lower the interpolated precision a little.
        gains[name] = max(fixed - base, 0.0) if fixed is not None and base is not None else 0.0
    return ErrorKinds(base, gains, counts, detections, kind, missed)


class _Best:
    """Finds each detection's highest IoU among some of the objects of its image."""

    def __init__(self, matches: Matches, counted: NDArray[np.bool_]) -> None:
        truth, found, overlaps = matches.truth, matches.found, matches.overlaps
        # By falling IoU, so that a detection's first pair is its best, and the first object of several.
        order = np.lexsort((overlaps.object, -overlaps.iou, overlaps.detection))
        order = order[counted[overlaps.object[order]]]
        self.detection, self.object, self.iou = overlaps.detection[order], overlaps.object[order], overlaps.iou[order]
        self.is_own = found.label[self.detection] == truth.label[self.object]

    def among(self, pairs: NDArray[np.bool_], number: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Returns the IoU (0 if there is none) and the object (-1) for each of the detections."""
        iou, partner = np.zeros(number), np.full(number, -1)
        detections, first = np.unique(self.detection[pairs], return_index=True)
        iou[detections], partner[detections] = self.iou[pairs][first], self.object[pairs][first]
        return iou, partner


def _mean_ap(
    matches: Matches,
    right: NDArray[np.bool_],
    labels: NDArray[np.int32],
    kept: NDArray[np.bool_],
    left: NDArray[np.int64],
    objects: NDArray[np.int64],
) -> float | None:
    """Returns the mean AP over the classes that have objects; one of which none is left keeps counting, with an AP of 0."""
    order = np.flatnonzero(kept)[np.lexsort((-matches.scores[kept], labels[kept]))]
    starts = np.searchsorted(labels[order], np.arange(len(objects) + 1))
    values = []
    for label in np.flatnonzero(objects):
        own = order[starts[label] : starts[label + 1]]
        values.append(float(average_precision(right[own], np.zeros(len(own), np.bool_), left[label])) if left[label] else 0.0)
    return float(np.mean(values)) if values else None
