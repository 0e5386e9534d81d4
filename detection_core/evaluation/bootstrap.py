"""How far average precision would vary on other images of the same kind: intervals by resampling the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.average_precision import area_under, first_counts, summary_parts
from detection_core.evaluation.match import Matches

_SEED = 0
# Percentiles that enclose 95 %.
_BOUNDS = (2.5, 97.5)
# Cells of the largest intermediate array.
_CELLS = 4_000_000


class Interval(NamedTuple):
    """The range that holds 95 % of the resampled values."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Resampled:
    """Figures of each class on B resampled sets of images; NaN where none of its objects was drawn.

    Attributes:
        sizes: Names of the object sizes.
        precision: float64 [B,A,T,K], average precision.
        recall: float64 [B,A,T,K], highest recall.
        recall_of_first: float64 [B,T,K] by number of detections, as `ClassFigures` has it.
    """

    sizes: tuple[str, ...]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    recall_of_first: dict[int, NDArray[np.float64]]

    def samples(self, label: int | None = None) -> dict[str, NDArray[np.float64]]:
        """Returns the figures of `ClassFigures.summary`, float64 [B] each, of one class or as means over classes."""
        chosen = slice(None) if label is None else slice(label, label + 1)
        # Figures come first, samples last.
        precision, recall = (np.moveaxis(values[..., chosen], 0, -1) for values in (self.precision, self.recall))
        of_first = {most: np.moveaxis(values[..., chosen], 0, -1) for most, values in self.recall_of_first.items()}
        return {name: _means(values) for name, values in summary_parts(self.sizes, precision, recall, of_first).items()}

    def intervals(self, label: int | None = None) -> dict[str, Interval | None]:
        """Returns the interval of each figure; None where it is not known."""
        return {name: interval(values) for name, values in self.samples(label).items()}


def resample(matches: Matches, number: int) -> Resampled:
    """Computes average precision on sets of images that are drawn from the images with replacement.

    The draws depend on the number of images alone, so that two models on the same images are resampled alike and the samples of their
    difference are the differences of their samples.

    Args:
        matches: Detections matched at COCO's ten thresholds.
        number: Number of resampled sets.
    """
    truth, images = matches.truth, len(matches.truth.images)
    draws = np.random.default_rng(_SEED).integers(0, max(images, 1), (number, images))
    # How often each image is drawn, [images, B]: whole numbers that float32 holds exactly.
    weights = np.stack([np.bincount(draw, minlength=images) for draw in draws], axis=1).astype(np.float32)
    sizes, thresholds = matches.right.shape[:2]
    precision = np.full((number, sizes, thresholds, len(truth.categories)), np.nan)
    recall = precision.copy()
    of_first = {most: np.full((number, thresholds, len(truth.categories)), np.nan) for most in first_counts(matches)}
    for size, label in np.argwhere(matches.objects):
        own = matches.of_label(label)
        objects = _objects_by_image(matches, size, label) @ weights
        drawn = np.flatnonzero(objects)
        if size == 0:
            for most, column in of_first.items():
                column[drawn, :, label] = (_hits_by_image(matches, label, most) @ weights[:, drawn] / objects[drawn]).T
        for threshold in range(thresholds):
            counted = ~matches.ignored[size, threshold, own]
            right = np.flatnonzero(matches.right[size, threshold, own][counted])
            image = matches.image[own][counted]
            for part in np.array_split(drawn, max(1, len(drawn) * len(image) // _CELLS)):
                # Recall changes, and precision is highest, at right detections only.
                all_so_far = np.cumsum(weights[image][:, part], axis=0)[right].T.astype(np.float64)
                hits = np.cumsum(weights[image[right]][:, part], axis=0).T.astype(np.float64)
                precision[part, size, threshold, label] = area_under(hits, all_so_far - hits, objects[part, None])
                recall[part, size, threshold, label] = hits[:, -1] / objects[part] if len(right) else 0
    return Resampled(matches.sizes, precision, recall, of_first)


def interval(samples: NDArray[np.float64]) -> Interval | None:
    """Returns the interval of some samples; None if none is known.

    Args:
        samples: float64 [B], NaN where unknown.
    """
    known = samples[~np.isnan(samples)]
    return Interval(*np.percentile(known, _BOUNDS).tolist()) if known.size else None


def _objects_by_image(matches: Matches, size: int, label: int) -> NDArray[np.float64]:
    counted = (matches.truth.label == label) & ~matches.ignored_objects[:, size]
    return np.bincount(matches.truth.image[counted], minlength=len(matches.truth.images)).astype(np.float64)


def _hits_by_image(matches: Matches, label: int, most: int) -> NDArray[np.float64]:
    """Returns how many objects of a class are found with at most so many detections an image, float64 [T, images]."""
    own = matches.of_label(label)
    first = matches.ranks[own] < most
    images, right = matches.image[own][first], matches.right[0][:, own][:, first]
    return np.stack([np.bincount(images[row], minlength=len(matches.truth.images)) for row in right]).astype(np.float64)


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean of each sample's values that are not NaN, float64 [B], of values [...,B]."""
    flat = values.reshape(-1, values.shape[-1])
    known = ~np.isnan(flat)
    number = known.sum(axis=0)
    sums = np.where(known, flat, 0).sum(axis=0)
    means: NDArray[np.float64] = np.divide(sums, number, out=np.full(len(number), np.nan), where=number > 0)
    return means
