"""Precision, recall and F1 of each class at any score threshold, and the threshold with the highest F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.match import Matches

# One threshold for all classes, or one for each label.
Thresholds = float | Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class OperatingPoint:
    """Right and wrong detections at a score threshold.

    Attributes:
        threshold: The lowest score of a detection that counts.
        right: Number of right detections.
        wrong: Number of wrong ones.
        objects: Number of objects to be found.
    """

    threshold: float
    right: int
    wrong: int
    objects: int

    @property
    def precision(self) -> float | None:
        """The right part of the detections, 0–1; None without detections."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """The found part of the objects, 0–1; None without objects."""
        return self.right / self.objects if self.objects else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall, 0–1; None if there are neither objects nor detections."""
        both = self.right + self.wrong + self.objects
        return 2 * self.right / both if both else None

    def to_json(self) -> dict[str, float | None]:
        """Returns all values as plain types."""
        return {"threshold": self.threshold, "precision": self.precision, "recall": self.recall, "f1": self.f1} | {
            "right": self.right,
            "wrong": self.wrong,
            "missed": self.objects - self.right,
        }


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision, recall and F1 at every score that changes them, from the highest score to the lowest: float64 [S] each."""

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    def thinned(self, most: int = 300) -> Curve:
        """Returns about so many of the points for drawing, more of them at high scores, where each changes more."""
        last = len(self.scores) - 1
        if last < most:
            return self
        places = np.unique(np.concatenate([np.linspace(0, last, most // 2), np.geomspace(1, last, most // 2)]).round().astype(int))
        return Curve(self.scores[places], self.precision[places], self.recall[places], self.f1[places])


class Curves:
    """Counts right and wrong detections at thresholds; made once, then every move of a threshold is a search in sorted arrays.

    Args:
        matches: The matched detections.
        iou: Index of the IoU threshold in `matches.thresholds`.
    """

    def __init__(self, matches: Matches, iou: int = 0) -> None:
        self.objects = matches.objects[0]
        self.categories = matches.truth.categories
        counted = ~matches.ignored[0, iou]
        self._right, self._scores, labels = matches.right[0, iou][counted], matches.scores[counted], matches.label[counted]
        self._starts = np.searchsorted(labels, np.arange(len(self.objects) + 1))
        self._hits = np.concatenate([[0], np.cumsum(self._right)])

    def at(self, thresholds: Thresholds) -> list[OperatingPoint]:
        """Returns the point of every label, the background's being empty.

        Args:
            thresholds: One for all classes, or one for each label.
        """
        each = np.broadcast_to(np.asarray(thresholds, np.float64), self.objects.shape)
        points = []
        for label, (start, end) in enumerate(pairwise(self._starts)):
            last = start + int(np.searchsorted(-self._scores[start:end], -each[label], side="right"))
            right = int(self._hits[last] - self._hits[start])
            points.append(OperatingPoint(float(each[label]), right, int(last - start) - right, int(self.objects[label])))
        return points

    def together(self, thresholds: Thresholds) -> OperatingPoint:
        """Returns the sums over all classes; its own threshold is NaN if the classes' differ."""
        points = self.at(thresholds)[1:]
        values = {point.threshold for point in points}
        threshold = values.pop() if len(values) == 1 else float("nan")
        return OperatingPoint(threshold, *(sum(getattr(point, name) for point in points) for name in ("right", "wrong", "objects")))

    def curve(self, label: int | None = None) -> Curve:
        """Returns the curve of one class, or of all together at one threshold for all."""
        if label is None:
            return _curve(*self._sorted, int(self.objects.sum()))
        own = slice(self._starts[label], self._starts[label + 1])
        return _curve(self._scores[own], self._right[own], int(self.objects[label]))

    def best(self, label: int | None = None) -> float | None:
        """Returns the threshold with the highest F1 of one class, or of all together; None if nothing is found correctly."""
        curve = self.curve(label)
        return float(curve.scores[curve.f1.argmax()]) if len(curve.f1) and curve.f1.max() > 0 else None

    def best_by_class(self) -> dict[str, float]:
        """Returns the threshold with the highest F1 of each class in which anything is found correctly."""
        found = {name: self.best(label) for label, name in enumerate(self.categories) if label}
        return {name: threshold for name, threshold in found.items() if threshold is not None}

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        order = np.argsort(-self._scores, kind="stable")
        return self._scores[order], self._right[order]


def thresholds_of(categories: Sequence[str], usual: float, by_class: Mapping[str, float]) -> NDArray[np.float64]:
    """Returns a threshold for each label.

    Args:
        categories: Class names by label.
        usual: The threshold of classes without one of their own.
        by_class: Thresholds by class name.
    """
    return np.array([by_class.get(name, usual) for name in categories], np.float64)


def _curve(scores: NDArray[np.float64], right: NDArray[np.bool_], objects: int) -> Curve:
    hits = np.cumsum(right)
    # Detections of one score come together: no threshold divides them.
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, int)
    hits, number = hits[last].astype(np.float64), last + 1.0
    recall = hits / objects if objects else np.full(len(last), np.nan)
    return Curve(scores[last], hits / number, recall, 2 * hits / (number + objects))
