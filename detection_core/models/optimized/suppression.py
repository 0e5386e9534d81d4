"""Non-maximum suppression that looks at the best boxes first, and at the others only if too few of those are left.

Greedy suppression never lets a lower box suppress a higher one. So if as many as are wanted survive among the best, they are the answer,
whatever the thousands below would have been.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import boxes as box_ops

# So many boxes `batched_nms` takes at once on a CPU, with groups moved apart; more of them group by group, which rounds nothing.
_AT_ONCE = 1000
# Of the best boxes, so many for each that is wanted. Looking at them pays where there are twice as many in all.
_CANDIDATES = 4


def best_survivors(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, most: int) -> Tensor:
    """What `torchvision.ops.batched_nms(boxes, scores, groups, iou_threshold)[:most]` gives.

    Args:
        boxes: float32 [N,4], XYXY.
        scores: float32 [N].
        groups: int64 [N]; boxes of different groups do not suppress each other.
        iou_threshold: Above it, the lower box goes.
        most: How many are wanted.

    Returns:
        int64 [at most `most`], the best that survive, best first.
    """
    candidates = _CANDIDATES * most
    if boxes.is_cpu and len(boxes) > max(_AT_ONCE, 2 * candidates):
        best, places = scores.topk(candidates)
        places = places.sort().values
        keep = suppress_apart(boxes[places], scores[places], groups[places], iou_threshold)
        # Of equal scores at the limit, torchvision may prefer one that is not among the candidates.
        if len(keep) >= most and scores[places[keep[most - 1]]] > best[-1]:
            return places[keep[:most]]
    survivors: Tensor = box_ops.batched_nms(boxes, scores, groups, iou_threshold)
    return survivors[:most]


def suppress_apart(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """`batched_nms` in one call: groups far apart cannot suppress each other; in double precision, being far away costs no digits."""
    apart = boxes.double() + (groups * (boxes.max() + 1).double())[:, None]
    survivors: Tensor = box_ops.nms(apart, scores.double(), iou_threshold)
    return survivors
