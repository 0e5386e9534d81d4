"""Two models on the same images: which objects only one of them finds, whether that is more than chance, and where they differ most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.curves import Thresholds
from detection_core.evaluation.match import Matches

# Above it, the exact binomial sum has too many terms and its normal approximation is exact enough.
_MOST_EXACT = 1000


class ImageDifference(NamedTuple):
    """How much better one model is on an image.

    Attributes:
        image_id: Id of the image.
        file_name: Its file name.
        errors_a: Missed and wrong objects of A.
        errors_b: Those of B.
    """

    image_id: int
    file_name: str
    errors_a: int
    errors_b: int


@dataclass(frozen=True, eq=False)
class PairedComparison:
    """Objects that two models find, each at its thresholds.

    Attributes:
        both: Number of objects that both find.
        only_a: int64, indices into `GroundTruth` of the objects that only A finds.
        only_b: int64, those that only B finds.
        neither: Number of objects that neither finds.
        wrong_a: Number of wrong detections of A.
        wrong_b: Number of wrong detections of B.
        images: All images on which the numbers of errors differ, the largest difference first.
    """

    both: int
    only_a: NDArray[np.int64]
    only_b: NDArray[np.int64]
    neither: int
    wrong_a: int
    wrong_b: int
    images: tuple[ImageDifference, ...]

    @property
    def p_value(self) -> float:
        """The probability of a difference at least as large if both models were equally good (McNemar's test, exact, two-sided)."""
        return mcnemar(len(self.only_a), len(self.only_b))


def compare_models(a: Matches, b: Matches, thresholds_a: Thresholds, thresholds_b: Thresholds, iou: int = 0) -> PairedComparison:
    """Compares two models on the same objects.

    Args:
        a: The matched detections of the first model.
        b: Those of the second, of the same `GroundTruth`.
        thresholds_a: Lowest scores of A, one for all classes or one for each label.
        thresholds_b: Those of B.
        iou: Index of the lowest IoU in both `thresholds`.
    """
    truth = a.truth
    found_a, wrong_a = _found(a, thresholds_a, iou)
    found_b, wrong_b = _found(b, thresholds_b, iou)
    counted = ~truth.ignored
    errors_a, errors_b = (
        wrong + np.bincount(truth.image[counted & ~found], minlength=len(truth.images))
        for found, wrong in ((found_a, wrong_a), (found_b, wrong_b))
    )
    different = np.flatnonzero(errors_a != errors_b)
    different = different[np.argsort(-np.abs(errors_a - errors_b)[different], kind="stable")]
    images = tuple(
        ImageDifference(truth.images[i].id, truth.images[i].file_name, int(errors_a[i]), int(errors_b[i])) for i in different.tolist()
    )
    return PairedComparison(
        both=int((found_a & found_b).sum()),
        only_a=np.flatnonzero(found_a & ~found_b),
        only_b=np.flatnonzero(found_b & ~found_a),
        neither=int((counted & ~found_a & ~found_b).sum()),
        wrong_a=int(wrong_a.sum()),
        wrong_b=int(wrong_b.sum()),
        images=images,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Returns the two-sided probability of at least so uneven a division of `only_a + only_b` objects by fair coins."""
    number, fewer = only_a + only_b, min(only_a, only_b)
    if number <= _MOST_EXACT:
        return min(1.0, float(2 * sum(math.comb(number, k) for k in range(fewer + 1)) / 2**number))
    return math.erfc(max(abs(only_a - only_b) - 1, 0) / math.sqrt(2 * number))


def _found(matches: Matches, thresholds: Thresholds, iou: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Returns whether each object is found, and the number of wrong detections of each image."""
    each = np.broadcast_to(np.asarray(thresholds, np.float64), (len(matches.truth.categories),))
    shown = matches.scores >= each[matches.label]
    right = matches.right[0, iou]
    found = np.zeros(len(matches.truth), np.bool_)
    found[matches.partner[0, iou, shown & right]] = True
    wrong = shown & ~right & ~matches.ignored[0, iou]
    return found, np.bincount(matches.image[wrong], minlength=len(matches.truth.images))
