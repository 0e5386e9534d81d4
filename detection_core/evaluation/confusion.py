"""Which class is taken for which at the current thresholds: a confusion matrix with missed objects and false positives."""

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
        annotated: The annotated box, XYWH in pixels; None for a false positive.
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
    """A confusion matrix; label 0 stands for no object: its row has the false positives, its column the missed objects.

    Attributes:
        matches: The matched detections.
        counts: int64 [K,K], row: the annotated class, column: the detected class.
        object: int64 [P], index of the annotated object of each entry, or -1.
        detection: int64 [P], index into `matches.found` of its detection, or -1.
    """

    matches: Matches
    counts: NDArray[np.int64]
    object: NDArray[np.int64]
    detection: NDArray[np.int64]

    def normalized(self) -> NDArray[np.float64]:
        """Returns each row as parts of its sum, float64 [K,K]; rows without entries are 0."""
        sums = self.counts.sum(axis=1, keepdims=True)
        parts: NDArray[np.float64] = np.divide(self.counts, sums, out=np.zeros(self.counts.shape), where=sums > 0)
        return parts

    def cell(self, annotated: int, detected: int) -> list[CellObject]:
        """Returns the objects of one cell, those with the highest scores first.

        Args:
            annotated: Label of the row; 0 for false positives.
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
            iou=self._overlap(there, here) if here >= 0 and there >= 0 else None,
        )

    def _overlap(self, detection: int, an_object: int) -> float:
        overlaps = self.matches.overlaps
        start, end = np.searchsorted(overlaps.detection, [detection, detection + 1])
        return float(overlaps.iou[start + np.searchsorted(overlaps.object[start:end], an_object)])


class Confusions:
    """Computes confusion matrices at thresholds; made once, then a move of a threshold takes milliseconds.

    Detections are first matched to objects of their own class, as for precision and recall, so that the diagonal has the right detections.
    What is left over is paired across classes, the pairs with the highest IoU first. Crowds, and detections in them, are left out.

    Args:
        matches: The matched detections.
        iou: Index of the lowest IoU in `matches.thresholds`.
    """

    def __init__(self, matches: Matches, iou: int = 0) -> None:
        self.matches, self._iou = matches, iou
        self._detection, self._object = crossing_pairs(matches, iou)

    def at(self, thresholds: Thresholds) -> Confusion:
        """Returns the matrix.

        Args:
            thresholds: Lowest score, one for all classes or one for each label.
        """
        matches, truth, found = self.matches, self.matches.truth, self.matches.found
        each = np.broadcast_to(np.asarray(thresholds, np.float64), (len(truth.categories),))
        shown = matches.scores >= each[matches.label]
        is_right = matches.right[0, self._iou]
        right = shown & is_right
        objects, detections = matches.partner[0, self._iou, right].astype(np.int64), matches.detection[right]

        free_objects, free = ~truth.ignored, np.zeros(len(found), np.bool_)
        free_objects[objects] = False
        free[matches.detection[shown & ~is_right & ~matches.ignored[0, self._iou]]] = True
        crossed_objects, crossed = self._cross(free_objects, free)
        missed, unmatched = np.flatnonzero(free_objects), np.flatnonzero(free)
        all_objects = np.concatenate([objects, crossed_objects, missed, np.full(len(unmatched), -1)])
        all_detections = np.concatenate([detections, crossed, np.full(len(missed), -1), unmatched])
        size = len(truth.categories)
        cells = _labels(truth.label, all_objects).astype(np.int64) * size + _labels(found.label, all_detections)
        counts = np.bincount(cells, minlength=size * size).reshape(size, size)
        return Confusion(matches, counts, all_objects, all_detections)

    def _cross(self, free_objects: NDArray[np.bool_], free: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs what is free, the highest IoU first; what is paired is free no longer.

        In each round, all pairs are taken that are the best left for both their object and their detection.
        """
        taken_objects, taken = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        objects, detections = self._object, self._detection
        first_of_object, first = np.zeros(len(free_objects), np.int64), np.zeros(len(free), np.int64)
        while True:
            left = free[detections] & free_objects[objects]
            objects, detections = objects[left], detections[left]
            if not len(objects):
                return np.concatenate(taken_objects), np.concatenate(taken)
            place = np.arange(len(objects))
            # Written from the last to the first, so that the first place of each remains.
            first_of_object[objects[::-1]] = place[::-1]
            first[detections[::-1]] = place[::-1]
            best = (first_of_object[objects] == place) & (first[detections] == place)
            taken_objects.append(objects[best])
            taken.append(detections[best])
            free_objects[objects[best]] = False
            free[detections[best]] = False


def crossing_pairs(matches: Matches, iou: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the pairs of different classes that overlap enough, from the highest IoU to the lowest.

    Args:
        matches: The matched detections.
        iou: Index of the lowest IoU in `matches.thresholds`.

    Returns:
        Indices into `matches.found` and into `matches.truth`.
    """
    truth, found, overlaps = matches.truth, matches.found, matches.overlaps
    is_crossing = found.label[overlaps.detection] != truth.label[overlaps.object]
    pairs = np.flatnonzero(is_crossing & (overlaps.iou >= matches.thresholds[iou]) & ~truth.ignored[overlaps.object])
    pairs = pairs[np.argsort(-overlaps.iou[pairs], kind="stable")]
    return overlaps.detection[pairs], overlaps.object[pairs]


def _labels(labels: NDArray[np.int32], indices: NDArray[np.int64]) -> NDArray[np.int32]:
    """Returns the labels at some indices, 0 for an index of -1."""
    return np.append(labels, np.int32(0))[indices]
