"""Which class is taken for which at the current thresholds: a confusion matrix with missed and invented objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.curves import Thresholds
from detection_core.evaluation.match import Matches


class CellObject(NamedTuple):
    """An object in a cell of the matrix.

    Attributes:
        image_id: Id of its image.
        file_name: The image's file name.
        annotated: The annotated box, XYWH in pixels; None if it was invented.
        detected: The detected box; None if it was missed.
        score: The detection's score, or None.
        iou: Overlap of both, or None.
    """

    image_id: int
    file_name: str
    annotated: tuple[float, ...] | None
    detected: tuple[float, ...] | None
    score: float | None
    iou: float | None


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion matrix; label 0 stands for no object: its row has the invented ones, its column the missed ones.

    Attributes:
        matches: The matched detections.
        counts: int64 [K,K], row: the annotated class, column: the detected class.
        object: int64 [P], index of the annotated object of each entry, or -1.
        detection: int64 [P], index into `matches.found` of its detection, or -1.
        iou: float64 [P], their overlap, or NaN.
    """

    matches: Matches
    counts: NDArray[np.int64]
    object: NDArray[np.int64]
    detection: NDArray[np.int64]
    iou: NDArray[np.float64]

    def normalized(self) -> NDArray[np.float64]:
        """Returns each row as parts of its sum, float64 [K,K]; rows without entries are 0."""
        sums = self.counts.sum(axis=1, keepdims=True)
        parts: NDArray[np.float64] = np.divide(self.counts, sums, out=np.zeros(self.counts.shape), where=sums > 0)
        return parts

    def cell(self, annotated: int, detected: int) -> list[CellObject]:
        """Returns the objects of one cell, those with the highest scores first.

        Args:
            annotated: Label of the row; 0 for invented objects.
            detected: Label of the column; 0 for missed objects.
        """
        chosen = np.flatnonzero((_labels(self.matches.truth.label, self.object) == annotated) & (self._detected == detected))
        entries = [self._entry(index) for index in chosen.tolist()]
        return sorted(entries, key=lambda entry: -(entry.score or 0))

    @property
    def _detected(self) -> NDArray[np.int32]:
        return _labels(self.matches.found.label, self.detection)

    def _entry(self, index: int) -> CellObject:
        truth, found = self.matches.truth, self.matches.found
        here, there = int(self.object[index]), int(self.detection[index])
        image = truth.images[int(truth.image[here] if here >= 0 else found.image[there])]
        return CellObject(
            image_id=image.id,
            file_name=image.file_name,
            annotated=tuple(truth.boxes[here].tolist()) if here >= 0 else None,
            detected=tuple(found.boxes[there].tolist()) if there >= 0 else None,
            score=float(found.scores[there]) if there >= 0 else None,
            iou=float(self.iou[index]) if here >= 0 and there >= 0 else None,
        )


def confusion(matches: Matches, thresholds: Thresholds, iou: int = 0) -> Confusion:
    """Computes the confusion matrix.

    Detections are first matched to objects of their own class, as for precision and recall, so that the diagonal has the right detections.
    What is left over is paired across classes, the pairs with the highest IoU first. Crowds, and detections in them, are left out.

    Args:
        matches: The matched detections.
        thresholds: Lowest score, one for all classes or one for each label.
        iou: Index of the lowest IoU in `matches.thresholds`.
    """
    truth, found, overlaps = matches.truth, matches.found, matches.overlaps
    each = np.broadcast_to(np.asarray(thresholds, np.float64), (len(truth.categories),))
    shown = matches.scores >= each[matches.label]
    right = shown & matches.right[0, iou]
    objects, detections = matches.partner[0, iou, right].astype(np.int64), matches.detection[right]

    free_objects, free = ~truth.ignored, np.zeros(len(found), np.bool_)
    free_objects[objects] = False
    free[matches.detection[shown & ~right & ~matches.ignored[0, iou]]] = True
    possible = np.flatnonzero((overlaps.iou >= matches.thresholds[iou]) & free[overlaps.detection] & free_objects[overlaps.object])
    crossed = possible[_greedy(overlaps.detection[possible], overlaps.object[possible], overlaps.iou[possible])]
    free[overlaps.detection[crossed]] = False
    free_objects[overlaps.object[crossed]] = False

    missed, invented = np.flatnonzero(free_objects), np.flatnonzero(free)
    all_objects = np.concatenate([objects, overlaps.object[crossed], missed, np.full(len(invented), -1)])
    all_detections = np.concatenate([detections, overlaps.detection[crossed], np.full(len(missed), -1), invented])
    size = len(truth.categories)
    cells = _labels(truth.label, all_objects).astype(np.int64) * size + _labels(found.label, all_detections)
    counts = np.bincount(cells, minlength=size * size).reshape(size, size)
    own = _iou_of(matches, detections, objects)
    ious = np.concatenate([own, overlaps.iou[crossed], np.full(len(missed) + len(invented), np.nan)])
    return Confusion(matches, counts, all_objects, all_detections, ious)


def _greedy(rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the pairs that are taken, the highest value first, ties in the given order, each row and column once.

    In each round, all pairs are taken that are the best left for both their row and their column.
    """
    order = np.argsort(-values, kind="stable")
    taken = []
    while len(order):
        first_of_row = _first_places(rows[order])
        first_of_column = _first_places(columns[order])
        place = np.arange(len(order))
        best = (first_of_row == place) & (first_of_column == place)
        chosen = order[best]
        taken.append(chosen)
        left = ~(np.isin(rows[order], rows[chosen]) | np.isin(columns[order], columns[chosen]))
        order = order[left]
    return np.concatenate(taken) if taken else order


def _first_places(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns, for each element, the place of the first element equal to it."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


def _labels(labels: NDArray[np.int32], indices: NDArray[np.int64]) -> NDArray[np.int32]:
    """Returns the labels at some indices, 0 for an index of -1."""
    return np.append(labels, np.int32(0))[indices]


def _iou_of(matches: Matches, detections: NDArray[np.int64], objects: NDArray[np.int64]) -> NDArray[np.float64]:
    overlaps, width = matches.overlaps, len(matches.truth) + 1
    # Overlaps are sorted by detection, then by object.
    places = np.searchsorted(overlaps.detection * width + overlaps.object, detections * width + objects)
    return overlaps.iou[places]
