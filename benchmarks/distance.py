"""Measures the distance between two results of the same image that differ in the order of summation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.masks import mask_crop, padded_box

BOX_PIXELS, SCORE, KEYPOINT_PIXELS, MASK_SHARE = 0.1, 1e-3, 0.5, 0.999
# Larger images are scaled down first, so the differences grow in proportion.
_FULL_HD = 1920
# If two candidates overlap and their scores tie within rounding, either may survive. The share of such objects that is allowed.
_FLIPS = 0.01


@dataclass(frozen=True)
class Distance:
    """The largest differences between matching objects.

    Attributes:
        objects: Number in both results together.
        missing: Objects in only one result, without those whose scores tie for the last place.
        moved: Objects at another rank; their scores must be equal within rounding.
        box: In pixels.
        score: Between matching objects, and between objects of the same rank.
        keypoint: In pixels, or 0 if there are none; without flipped ones.
        keypoints: Number in matching objects.
        flipped_keypoints: Number at other places where the heat map is equally high within rounding.
        mask: Smallest share of equal pixels in an object's box, or 1 if there are none; for masks placed at the same whole pixels.
        longer_side: Longer side of the image in pixels.
    """

    objects: int
    missing: int
    moved: int
    box: float
    score: float
    keypoint: float
    mask: float
    keypoints: int = 0
    flipped_keypoints: int = 0
    longer_side: int = 0

    @property
    def is_small(self) -> bool:
        """Whether the results count as equal."""
        box = BOX_PIXELS * max(1, self.longer_side / _FULL_HD)
        close = self.box <= box and self.score <= SCORE and self.keypoint <= KEYPOINT_PIXELS and self.mask >= MASK_SHARE
        return self.missing <= _FLIPS * self.objects and self.flipped_keypoints <= _FLIPS * self.keypoints and close


def distance(found: Detections, expected: Detections) -> Distance:
    """Compares two results of one image."""
    ours, theirs = _partners(found, expected)
    common = min(len(found), len(expected))
    moved, flipped = np.zeros(0), np.zeros(0, bool)
    if found.keypoints is not None and expected.keypoints is not None:
        assert found.keypoint_scores is not None
        assert expected.keypoint_scores is not None
        moved = _keypoint_distances(found.keypoints[ours], expected.keypoints[theirs]).max(axis=2)
        flipped = (moved > KEYPOINT_PIXELS) & (np.abs(found.keypoint_scores[ours] - expected.keypoint_scores[theirs]) <= SCORE)
    shares = [1.0]
    if found.masks is not None and expected.masks is not None:
        shares += [_equal_share(found, i, expected, j) for i, j in zip(ours, theirs, strict=True)]
    return Distance(
        objects=len(found) + len(expected),
        missing=_missing(found, ours) + _missing(expected, theirs),
        moved=int((ours != theirs).sum()),
        box=_largest(found.boxes[ours] - expected.boxes[theirs]),
        score=max(_largest(found.scores[ours] - expected.scores[theirs]), _largest(found.scores[:common] - expected.scores[:common])),
        keypoint=_largest(moved[~flipped]),
        mask=min(shares),
        keypoints=moved.size,
        flipped_keypoints=int(flipped.sum()),
        longer_side=max(found.image_size),
    )


def _partners(found: Detections, expected: Detections) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Returns the indices of matching objects: of the same class, with boxes at most a pixel apart."""
    apart = np.abs(found.boxes[:, None] - expected.boxes[None]).max(axis=2) + 1e6 * (found.labels[:, None] != expected.labels[None])
    # Among coinciding boxes, the one with the same score.
    apart += 10 * np.abs(found.scores[:, None] - expected.scores[None])
    if not apart.size:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    partner = apart.argmin(axis=1)
    mutual = (apart.argmin(axis=0)[partner] == np.arange(len(found))) & (apart.min(axis=1) < 1)
    return np.flatnonzero(mutual), partner[mutual]


def _missing(detections: Detections, partnered: NDArray[np.intp]) -> int:
    alone = np.delete(detections.scores, partnered)
    return int((alone > detections.scores.min(initial=np.inf) + SCORE).sum())


def _equal_share(found: Detections, ours: int, expected: Detections, theirs: int) -> float:
    """Returns the share of equal pixels of an object's mask, within its box.

    A mask is stretched over its box, grown by a cell of its grid and cut to whole pixels. A side of 1189.000 in one result and of
    1188.999 in the other therefore moves the mask by a pixel, although the boxes are equal within rounding, which `Distance.box` measures.
    If the whole pixels differ, our mask is therefore placed at theirs, so that only the masks are compared.
    """
    assert found.masks is not None
    first_box, second_box = found.boxes[ours], expected.boxes[theirs]
    side = found.masks.shape[-1]
    box = first_box if padded_box(side, first_box) == padded_box(side, second_box) else second_box
    first = _pixels(mask_crop(found.masks[ours], box, found.image_size), found.image_size)
    second = _pixels(expected.mask(theirs), expected.image_size)
    width, height = np.maximum(expected.boxes[theirs, 2:] - expected.boxes[theirs, :2], 1)
    return 1 - float((first != second).sum() / (width * height))


def _pixels(mask: tuple[NDArray[np.bool_], tuple[int, int]], image_size: tuple[int, int]) -> NDArray[np.bool_]:
    whole = np.zeros(image_size, bool)
    crop, (x, y) = mask
    whole[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return whole


def _keypoint_distances(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    """Returns the distances of keypoints: 0 if both results lack one, and infinity if only one does."""
    neither = np.isnan(ours) & np.isnan(theirs)
    return np.where(neither, 0, np.nan_to_num(np.abs(ours - theirs), nan=np.inf))


def _largest(differences: NDArray[np.floating]) -> float:
    return float(np.abs(differences).max(initial=0))
