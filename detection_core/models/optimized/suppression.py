"""Runs non-maximum suppression on the best boxes first, and on all of them only if too few survive.

Greedy suppression never lets a lower box suppress a higher one. So if enough of the best boxes survive, they are the result, and
the thousands below need not be considered.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import boxes as box_ops

# Up to this number of boxes `batched_nms` runs in one pass on a CPU, with groups moved apart; more run group by group, without rounding.
_AT_ONCE = 1000
# Candidates per requested box. Considering only these pays if there are at least twice as many in all.
_CANDIDATES = 4


def best_survivors(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, most: int) -> Tensor:
    """Computes `torchvision.ops.batched_nms(boxes, scores, groups, iou_threshold)[:most]`.

    Args:
        boxes: float32 [N,4], XYXY.
        scores: float32 [N].
        groups: int64 [N]; boxes of different groups do not suppress each other.
        iou_threshold: Above it, the box with the lower score is suppressed.
        most: The number of boxes requested.

    Returns:
        int64 [at most `most`], indices of the best surviving boxes, best first.
    """
    candidates = _CANDIDATES * most
    if boxes.is_cpu and len(boxes) > max(_AT_ONCE, 2 * candidates):
        best, places = scores.topk(candidates)
        places = places.sort().values
        keep = suppress_apart(boxes[places], scores[places], groups[places], iou_threshold)
        # With equal scores at the limit, torchvision may prefer a box that is not among the candidates.
        if len(keep) >= most and scores[places[keep[most - 1]]] > best[-1]:
            return places[keep[:most]]
    survivors: Tensor = box_ops.batched_nms(boxes, scores, groups, iou_threshold)
    return survivors[:most]


def suppress_apart(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """Runs `batched_nms` in one call on groups moved far apart; double precision keeps the coordinates exact."""
    apart = boxes.double() + (groups * (boxes.max() + 1).double())[:, None]
    survivors: Tensor = box_ops.nms(apart, scores.double(), iou_threshold)
    return survivors
