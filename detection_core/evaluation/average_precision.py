"""COCO's average precision and recall from matched detections, equal to those of pycocotools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.match import Matches

# The recalls at which precision is read.
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Average precision and recall of each class, 0–1, NaN without objects; A sizes, T thresholds, K classes with the background.

    Attributes:
        sizes: Names of the object sizes.
        objects: int64 [A,K].
        precision: float64 [A,T,K], average precision.
        recall: float64 [A,T,K], highest recall.
        recall_of_first: float64 [T,K] by number of detections: highest recall of objects of all sizes with at most so many detections an
            image and class.
    """

    sizes: tuple[str, ...]
    objects: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    recall_of_first: dict[int, NDArray[np.float64]]

    @cached_property
    def summary(self) -> dict[str, float | None]:
        """COCO's twelve figures (ten for keypoints) in its order, each the mean over classes with objects; None where there are none."""
        parts = summary_parts(self.sizes, self.precision, self.recall, self.recall_of_first)
        return {name: mean_or_none(values) for name, values in parts.items()}

    def of_class(self, label: int) -> dict[str, float | None]:
        """Returns AP, AP50, AP75, those by size, and AR of one class."""
        figures = {"AP": self.precision[0, :, label], "AP50": self.precision[0, 0, label], "AP75": self.precision[0, 5, label]}
        figures |= {f"AP{name[0].upper()}": self.precision[index, :, label] for index, name in enumerate(self.sizes) if index}
        figures["AR"] = self.recall[0, :, label]
        return {name: mean_or_none(values) for name, values in figures.items()}


def summary_parts(
    sizes: Sequence[str],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
    recall_of_first: Mapping[int, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Returns the values whose mean is each of COCO's figures, in its order.

    Args:
        sizes: Names of the object sizes.
        precision: float64 [A,T,...], average precision.
        recall: float64 [A,T,...], highest recall.
        recall_of_first: float64 [T,...] by number of detections; empty for keypoints.
    """
    figures = {"AP": precision[0], "AP50": precision[0, 0], "AP75": precision[0, 5]}
    figures |= {f"AP{name[0].upper()}": precision[index] for index, name in enumerate(sizes) if index}
    figures |= {f"AR{most}": values for most, values in recall_of_first.items()}
    figures["AR"] = recall[0]
    if not recall_of_first:  # As pycocotools does for keypoints.
        figures |= {"AR50": recall[0, 0], "AR75": recall[0, 5]}
    return figures | {f"AR{name[0].upper()}": recall[index] for index, name in enumerate(sizes) if index}


def class_figures(matches: Matches) -> ClassFigures:
    """Computes average precision and recall of every class.

    Args:
        matches: Detections matched at COCO's ten thresholds.
    """
    shape = (*matches.right.shape[:2], len(matches.truth.categories))
    precision, recall = np.full(shape, np.nan), np.full(shape, np.nan)
    of_first = {most: np.full(shape[1:], np.nan) for most in first_counts(matches)}
    for size, label in np.argwhere(matches.objects):
        own = matches.of_label(label)
        right, ignored, objects = matches.right[size, :, own], matches.ignored[size, :, own], matches.objects[size, label]
        precision[size, :, label] = average_precision(right, ignored, objects)
        recall[size, :, label] = right.sum(axis=1) / objects
        if size == 0:
            for most, column in of_first.items():
                column[:, label] = right[:, matches.ranks[own] < most].sum(axis=1) / objects
    return ClassFigures(matches.sizes, matches.objects, precision, recall, of_first)


def first_counts(matches: Matches) -> tuple[int, ...]:
    """Returns the numbers of detections for which COCO measures recall, besides all of them."""
    return () if matches.truth.iou_type == "keypoints" else (1, 10)


def average_precision(right: NDArray[np.bool_], ignored: NDArray[np.bool_], objects: float) -> NDArray[np.float64]:
    """Computes the average precision of detections in the order of falling scores.

    Args:
        right: bool [..., N].
        ignored: bool [..., N], those that count neither as right nor as wrong.
        objects: Number of objects to be found.
    """
    hits = np.cumsum(right, axis=-1, dtype=np.float64)
    misses = np.cumsum(~right & ~ignored, axis=-1, dtype=np.float64)
    return area_under(hits, misses, np.asarray(objects, np.float64))


def area_under(hits: NDArray[np.float64], misses: NDArray[np.float64], objects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes the mean of the interpolated precision at `RECALLS`.

    Args:
        hits: float64 [..., N], number of right detections among the first ones.
        misses: float64 [..., N], number of wrong ones.
        objects: Number of objects to be found, of a shape that broadcasts with [..., N].
    """
    precision = hits / (misses + hits + np.spacing(1))
    highest = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    # A detection gives its precision to the recalls that are reached with it and were not before.
    reached = np.searchsorted(RECALLS, hits / objects, side="right")
    area: NDArray[np.float64] = (np.diff(reached, axis=-1, prepend=0) * highest).sum(axis=-1) / len(RECALLS)
    return area


def mean_or_none(values: NDArray[np.float64]) -> float | None:
    """Returns the mean of all values that are not NaN, or None if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
