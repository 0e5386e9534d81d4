"""Decides which detections are right, as COCO does, for all images, IoU thresholds and object sizes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from detection_core.evaluation.found import Found
from detection_core.evaluation.ground_truth import GroundTruth
from detection_core.evaluation.overlaps import Overlaps

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# COCO's ranges of an object's area in pixels; both ends belong to them. "all" must be the first.
SIZES: dict[str, tuple[float, float]] = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
# COCO does not divide persons with keypoints into small ones.
_KEYPOINT_SIZES = ("all", "medium", "large")
# Detections of an image and class that count, the ones with the highest scores.
MOST_DETECTIONS, _MOST_WITH_KEYPOINTS = 100, 20
# Cells of the largest intermediate array.
_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Matches:
    """The D detections that count, by label and within a label by falling score, and which of them are right.

    A, T and K are the numbers of sizes, of thresholds, and of classes with the background.

    Attributes:
        truth: The annotated objects.
        found: All detections.
        overlaps: The pairs of both.
        sizes: Names of the object sizes, "all" first.
        thresholds: float64 [T], IoU thresholds.
        detection: int64 [D], index into `found`.
        image: int32 [D], index into `truth.images`.
        label: int32 [D].
        scores: float64 [D].
        ranks: int64 [D], the place among the detections of its image and class.
        right: bool [A,T,D], whether it is matched to an object of that size.
        ignored: bool [A,T,D], whether it is neither right nor wrong: matched to a crowd or an object of another size, or of another size
            itself.
        partner: int32 [A,T,D], index into `truth` of the object that it is matched to, or -1.
        ignored_objects: bool [M,A], objects that need not be found: crowds, and those of another size.
        objects: int64 [A,K], number of objects to be found.
        starts: int64 [K+1], where each label's detections start.
    """

    truth: GroundTruth
    found: Found
    overlaps: Overlaps
    sizes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    detection: NDArray[np.int64]
    image: NDArray[np.int32]
    label: NDArray[np.int32]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]
    right: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    partner: NDArray[np.int32]
    ignored_objects: NDArray[np.bool_]
    objects: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def of_label(self, label: int) -> slice:
        """Returns where the detections of one class are."""
        return slice(int(self.starts[label]), int(self.starts[label + 1]))


def match(
    truth: GroundTruth,
    found: Found,
    overlaps: Overlaps | None = None,
    *,
    thresholds: Sequence[float] | NDArray[np.float64] = IOU_THRESHOLDS,
    sizes: Sequence[str] | None = None,
) -> Matches:
    """Matches detections to objects of their class as `COCOeval.evaluateImg` does.

    In an image, each detection, by falling score, takes the free object that it overlaps most, the last one of several; an ignored object
    only if there is no other.

    Args:
        truth: The annotated objects.
        found: The detections.
        overlaps: The pairs of both; None computes them.
        thresholds: Lowest IoUs of a match, each of at least `overlaps.LOWEST_IOU`.
        sizes: Names in `SIZES`, "all" first; None for COCO's.
    """
    overlaps = overlaps or Overlaps.of(truth, found)
    sizes = tuple(sizes or (_KEYPOINT_SIZES if truth.iou_type == "keypoints" else SIZES))
    thresholds = np.asarray(thresholds, np.float64)
    ranges = [SIZES[size] for size in sizes]
    ignored_objects = np.stack([truth.ignored | (truth.areas < low) | (truth.areas > high) for low, high in ranges], axis=1)
    counting = np.flatnonzero(found.ranks < (_MOST_WITH_KEYPOINTS if truth.iou_type == "keypoints" else MOST_DETECTIONS))
    # A stable sort keeps the order of images and ranks among equal scores, as in pycocotools.
    order = counting[np.lexsort((-found.scores[counting], found.label[counting]))]
    matched = _matched(truth, found, overlaps, thresholds, ignored_objects, order)
    outside = np.stack([(found.areas[order] < low) | (found.areas[order] > high) for low, high in ranges])
    is_matched = matched >= 0
    to_ignored = is_matched & np.stack(
        [ignored_objects[matched[size], size] if len(truth) else is_matched[size] for size in range(len(sizes))]
    )
    labels = np.arange(len(truth.categories))
    return Matches(
        truth=truth,
        found=found,
        overlaps=overlaps,
        sizes=sizes,
        thresholds=thresholds,
        detection=order,
        image=found.image[order],
        label=found.label[order],
        scores=found.scores[order],
        ranks=found.ranks[order],
        right=is_matched & ~to_ignored,
        ignored=to_ignored | (~is_matched & outside[:, None]),
        partner=matched,
        ignored_objects=ignored_objects,
        objects=np.stack([np.bincount(truth.label[~column], minlength=len(labels)) for column in ignored_objects.T]),
        starts=np.searchsorted(found.label[order], np.append(labels, len(labels))),
    )


def _matched(
    truth: GroundTruth,
    found: Found,
    overlaps: Overlaps,
    thresholds: NDArray[np.float64],
    ignored_objects: NDArray[np.bool_],
    order: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Returns the object that each of the D detections in `order` is matched to, int32 [A,T,D], or -1."""
    lanes = ignored_objects.shape[1], len(thresholds)
    matched = np.full((*lanes, len(order)), -1, np.int32)
    column = np.empty(len(found), np.int64)
    column[order] = np.arange(len(order))
    taken = np.zeros((len(truth), *lanes), np.bool_)
    limits = np.minimum(thresholds, 1 - 1e-10)
    most = _MOST_WITH_KEYPOINTS if truth.iou_type == "keypoints" else MOST_DETECTIONS
    ranks = found.ranks[overlaps.detection]
    possible = (found.label[overlaps.detection] == truth.label[overlaps.object]) & (overlaps.iou >= limits.min()) & (ranks < most)
    # An image's objects in reverse order: the first of the greatest is then the last one.
    pairs = np.flatnonzero(possible)
    pairs = pairs[np.lexsort((-overlaps.object[pairs], overlaps.detection[pairs], ranks[pairs]))]
    ends = np.searchsorted(ranks[pairs], np.arange(most + 1))
    # Detections of one rank are of different images or classes, so that none takes an object from another.
    for start, end in pairwise(ends):
        of_rank = pairs[start:end]
        detections, firsts, counts = np.unique(overlaps.detection[of_rank], return_index=True, return_counts=True)
        for members, width in _of_similar_count(counts, lanes[0] * lanes[1]):
            places = firsts[members, None] + np.arange(width)
            real = np.arange(width) < counts[members, None]
            chosen = of_rank[np.where(real, places, firsts[members, None])]
            objects, iou = overlaps.object[chosen], np.where(real, overlaps.iou[chosen], -1)
            free = (iou[:, :, None, None] >= limits) & ~taken[objects]
            preferred = free & ~ignored_objects[objects][..., None]
            eligible = np.where(preferred.any(axis=1, keepdims=True), preferred, free)
            best = np.where(eligible, iou[:, :, None, None], -1).argmax(axis=1)
            picked = objects[np.arange(len(members))[:, None, None], best]
            hit = eligible.any(axis=1)
            matched[:, :, column[detections[members]]] = np.where(hit, picked, -1).transpose(1, 2, 0)
            row, size, threshold = np.nonzero(hit & ~truth.crowd[picked])
            taken[picked[row, size, threshold], size, threshold] = True
    return matched


def _of_similar_count(counts: NDArray[np.int64], cells: int) -> list[tuple[NDArray[np.int64], int]]:
    """Divides detections into groups with similarly many candidates: their indices, and the most candidates of one."""
    groups: list[tuple[NDArray[np.int64], int]] = []
    order = np.argsort(counts, kind="stable")
    exponents = np.ceil(np.log2(counts[order])).astype(int)
    for exponent in np.unique(exponents):
        members = order[exponents == exponent]
        width = int(counts[members[-1]])
        step = max(1, _CELLS // (width * cells))
        groups += [(members[start : start + step], width) for start in range(0, len(members), step)]
    return groups
