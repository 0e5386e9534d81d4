"""Whether scores mean what they say: the precision of detections by their score, and how scores of right and wrong ones are spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.match import Matches


@dataclass(frozen=True, eq=False)
class Calibration:
    """Detections in B equal intervals of the score.

    Attributes:
        edges: float64 [B+1], bounds of the intervals.
        right: int64 [B], number of right detections.
        wrong: int64 [B], number of wrong ones.
        mean_score: float64 [B], NaN in empty intervals.
    """

    edges: NDArray[np.float64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    mean_score: NDArray[np.float64]

    @property
    def precision(self) -> NDArray[np.float64]:
        """The right part of each interval's detections, float64 [B]; NaN in empty ones."""
        number = self.right + self.wrong
        parts: NDArray[np.float64] = np.divide(self.right, number, out=np.full(len(number), np.nan), where=number > 0)
        return parts

    @property
    def error(self) -> float | None:
        """The expected calibration error (ECE), 0–1: the mean of |precision − mean score| over detections; None without any."""
        number = self.right + self.wrong
        if not number.sum():
            return None
        known = number > 0
        return float((number * np.abs(self.precision - self.mean_score))[known].sum() / number.sum())


def calibration(matches: Matches, *, iou: int = 0, bins: int = 10, lowest: float = 0.0) -> Calibration:
    """Compares the scores of detections of all classes with the part of them that is right.

    Args:
        matches: The matched detections.
        iou: Index of the IoU threshold in `matches.thresholds`.
        bins: Number of intervals.
        lowest: Lowest score of the detections to be considered.
    """
    counted = ~matches.ignored[0, iou] & (matches.scores >= lowest)
    scores, right = matches.scores[counted], matches.right[0, iou][counted]
    place = np.clip((scores * bins).astype(np.int64), 0, bins - 1)
    number = np.bincount(place, minlength=bins)
    hits = np.bincount(place[right], minlength=bins)
    sums = np.bincount(place, weights=scores, minlength=bins)
    mean = np.divide(sums, number, out=np.full(bins, np.nan), where=number > 0)
    return Calibration(np.linspace(0, 1, bins + 1), hits, number - hits, mean)
