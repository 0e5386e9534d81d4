"""Selects detections from a network's candidates by torchvision's rules, and notes for every candidate what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, nms, remove_small_boxes


class Fate(StrEnum):
    """What became of a candidate, in the order of the steps that it passed.

    Attributes:
        BELOW_MIN_SCORE: Its score is not above the minimum.
        NOT_IN_TOP_K: Too many candidates of its group have better scores; only the top k go on to NMS.
        TOO_SMALL: Its box is empty once it is clipped to the image.
        SUPPRESSED: A better candidate of its group overlaps it too much.
        CUT: It survived NMS, but too many others with better scores did too.
        BELOW_THRESHOLD: It is part of the result, but below the threshold that the user has chosen. `select` never gives this fate.
        KEPT: It is part of the result.
    """

    BELOW_MIN_SCORE = "below the minimum score"
    NOT_IN_TOP_K = "not among the top k before NMS"
    TOO_SMALL = "too small"
    SUPPRESSED = "suppressed"
    CUT = "cut by the limit after NMS"
    BELOW_THRESHOLD = "below your threshold"
    KEPT = "kept"


FATES = tuple(Fate)
# Boxes whose overlaps are computed at a time, in pairs: memory for tens of thousands of both would not suffice.
_MAX_PAIRS = 4_000_000


@dataclass(frozen=True)
class Rules:
    """The settings by which candidates are selected.

    Attributes:
        min_score: Candidates need a score above it.
        nms_iou: Of two boxes of the same group with a greater IoU, the one with the lower score is dropped.
        limit: Candidates kept after NMS.
        top_k: Candidates of each level or class that go on to NMS, or None for all.
        top_k_within: What the top k are counted within.
        min_size: Shortest side of a box in pixels of the network's input, or None for any.
        inclusive: Whether a score equal to the minimum passes, as in the RPN.
        class_agnostic: Whether NMS compares boxes of all classes; torchvision's models have no such setting.
    """

    min_score: float
    nms_iou: float
    limit: int
    top_k: int | None = None
    top_k_within: Literal["level", "class"] = "level"
    min_size: float | None = None
    inclusive: bool = False
    class_agnostic: bool = False


@dataclass(frozen=True, eq=False)
class Candidates:
    """N candidates: each is a box with one class and its score.

    Attributes:
        places: Integers [N], the anchor or proposal that each comes from.
        labels: Integers [N], the classes; 0 for the candidates of an RPN, which knows no classes.
        scores: float32 [N].
        boxes: float32 [N,4], XYXY in pixels of the network's input, clipped to the image.
        levels: Integers [N], the feature levels; 0 for the candidates of a box head.
        ranking: float32 [N], what the top k are chosen by where that is not the scores (an RPN's logits), or None.
    """

    places: NDArray[Any]
    labels: NDArray[Any]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    levels: NDArray[Any]
    ranking: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class Selection:
    """What became of N candidates.

    Attributes:
        fates: int8 [N], indices into `FATES`.
        ranks: int32 [N], counted from 1: of candidates outside the top k, the rank by score within their group; of those that survived
            NMS, the rank among the survivors; otherwise 0.
        suppressors: int32 [N], the best surviving candidate that suppresses each, or -1.
        ious: float32 [N], the IoU with the suppressor, or 0.
        entered: int64, the candidates that went on to NMS.
        survivors: int64, those that survived it, best first.
        kept: int64, the result: the first of the survivors.
    """

    fates: NDArray[np.int8]
    ranks: NDArray[np.int32]
    suppressors: NDArray[np.int32]
    ious: NDArray[np.float32]
    entered: NDArray[np.int64]
    survivors: NDArray[np.int64]
    kept: NDArray[np.int64]

    def fate(self, index: int) -> Fate:
        """Returns what became of one candidate."""
        return FATES[int(self.fates[index])]


def select(candidates: Candidates, rules: Rules, entered: NDArray[np.int64] | None = None) -> Selection:
    """Selects candidates as torchvision does: minimum score, top k of each group, size, NMS within each group, limit.

    The order of the steps that differ between families (the RPN applies its minimum score last) does not change the result, because each
    of them drops the lowest scores first.

    Args:
        candidates: The candidates.
        rules: The settings.
        entered: The top k of each group in torchvision's order, which among equal scores depends on all candidates, where some are missing.
    """
    scores, boxes = torch.from_numpy(candidates.scores), torch.from_numpy(candidates.boxes)
    fates = np.full(len(candidates), FATES.index(Fate.BELOW_MIN_SCORE), np.int8)
    ranks = np.zeros(len(candidates), np.int32)
    passed = torch.where(scores >= rules.min_score if rules.inclusive else scores > rules.min_score)[0]
    going = _top_k(candidates, rules, passed, fates, ranks, None if entered is None else torch.from_numpy(entered))
    if rules.min_size is not None:
        fates[going.numpy()] = FATES.index(Fate.TOO_SMALL)
        going = going[remove_small_boxes(boxes[going], rules.min_size)]
    fates[going.numpy()] = FATES.index(Fate.SUPPRESSED)
    groups = _nms_groups(candidates, rules)
    if rules.class_agnostic:
        order = nms(boxes[going], scores[going], rules.nms_iou)
    else:
        order = batched_nms(boxes[going], scores[going], groups[going], rules.nms_iou)
    survivors = going[order]
    kept = survivors[: rules.limit]
    fates[survivors.numpy()] = FATES.index(Fate.CUT)
    fates[kept.numpy()] = FATES.index(Fate.KEPT)
    ranks[survivors.numpy()] = np.arange(1, len(survivors) + 1)
    suppressors, ious = _suppressors(boxes, groups, going, survivors, rules.nms_iou)
    return Selection(fates, ranks, suppressors, ious, going.numpy(), survivors.numpy(), kept.numpy())


def suppressors_of(candidates: Candidates, selection: Selection, rules: Rules, index: int) -> NDArray[np.int64]:
    """Returns all survivors that would suppress a candidate, each for itself, best first: it appears only without all of them."""
    survivors = selection.survivors
    groups = _nms_groups(candidates, rules).numpy()
    better = survivors[(groups[survivors] == groups[index]) & (candidates.scores[survivors] >= candidates.scores[index])]
    overlaps = box_iou(torch.from_numpy(candidates.boxes[[index]]), torch.from_numpy(candidates.boxes[better]))[0]
    found: NDArray[np.int64] = better[(overlaps > rules.nms_iou).numpy() & (better != index)]
    return found


def _nms_groups(candidates: Candidates, rules: Rules) -> Tensor:
    if rules.class_agnostic:
        return torch.zeros(len(candidates), dtype=torch.int64)
    # An RPN's candidates have no classes; it compares those of the same level.
    return torch.from_numpy(candidates.levels if candidates.ranking is not None else candidates.labels)


def _top_k(candidates: Candidates, rules: Rules, passed: Tensor, fates: NDArray[Any], ranks: NDArray[Any], known: Tensor | None) -> Tensor:
    """Returns those of the passed candidates that are among the top k of their groups, in torchvision's order; they may be known."""
    if rules.top_k is None or not len(passed):
        return passed
    ranking = torch.from_numpy(candidates.scores if candidates.ranking is None else candidates.ranking)
    groups = torch.from_numpy(candidates.levels if rules.top_k_within == "level" else candidates.labels)
    entered = []
    for group in _groups(groups[passed]):
        own = passed[group]
        best = own[ranking[own].topk(min(rules.top_k, len(own))).indices] if known is None else known[groups[known] == groups[own[0]]]
        entered.append(best)
        others = own[torch.isin(own, best, invert=True)]
        rest = others[ranking[others].argsort(descending=True)].numpy()
        fates[rest] = FATES.index(Fate.NOT_IN_TOP_K)
        ranks[rest] = len(best) + 1 + np.arange(len(rest))
    return torch.cat(entered)


def _groups(groups: Tensor) -> Iterator[Tensor]:
    """Yields the positions of each group's members, in ascending order."""
    order = groups.argsort(stable=True)
    counts = groups.unique(return_counts=True)[1]
    yield from order.split(counts.tolist())


def _suppressors(
    boxes: Tensor, groups: Tensor, entered: Tensor, survivors: Tensor, nms_iou: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Finds the best survivor that suppresses each candidate; greedy NMS compares a candidate with survivors only."""
    found = np.full(len(boxes), -1, np.int32)
    ious = np.zeros(len(boxes), np.float32)
    lost = torch.zeros(len(boxes), dtype=torch.bool)
    lost[entered] = True
    lost[survivors] = False
    losers = torch.where(lost)[0]
    if not len(losers):
        return found, ious
    for group in _groups(groups[losers]):
        own = losers[group]
        others = survivors[groups[survivors] == groups[own[0]]]
        for part in own.split(max(1, _MAX_PAIRS // len(others))):
            overlaps = box_iou(boxes[part], boxes[others])
            # Survivors are sorted, so the first one is the best. NMS computes overlaps with other rounding: at the limit, the closest one.
            over = overlaps > nms_iou
            which = torch.where(over.any(dim=1), over.int().argmax(dim=1), overlaps.argmax(dim=1))
            found[part.numpy()] = others[which].numpy()
            ious[part.numpy()] = overlaps[torch.arange(len(part)), which].numpy()
    return found, ious
