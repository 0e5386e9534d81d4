"""Turns the tensors of a detector's last layers into bounded NumPy arrays: places, candidates and maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from detection_core.explanation.record import Places
from detection_core.explanation.selection import Candidates, Rules

# Candidates kept of all classes at all places, and beside them those that go on to NMS, which decide about the result.
MAX_CANDIDATES = 50_000
# Longest side of a map in cells.
MAX_CELLS = 128


@dataclass(frozen=True, eq=False)
class Gathered:
    """The part of a recording that the network's last layers determine; see `Recording` for the other attributes.

    Attributes:
        entered: int64, the candidates that go on to NMS in torchvision's order, or None where all candidates are kept: then `select` finds
            them in the same order.
    """

    places: Places
    candidates: Candidates
    lowest_kept: float
    rules: Rules
    entered: NDArray[np.int64] | None


def gather(
    scores: Tensor, first_label: int, background: Tensor | None, boxes: Tensor, sources: Tensor, levels: Tensor, rules: Rules
) -> Gathered:
    """Gathers the places and the best candidates.

    Args:
        scores: [P,C] without the background.
        first_label: The label of the first column.
        background: [P], or None.
        boxes: [P,4], or [P,C,4] where each class has its own box, clipped.
        sources: [P,4], the anchors or proposals.
        levels: int64 [P].
        rules: The settings of the selection.
    """
    best, columns = scores.max(dim=1) if len(scores) else (scores.new_zeros(0), levels[:0])
    own = boxes if boxes.ndim == 2 else boxes[torch.arange(len(boxes)), columns]
    places = Places(
        _array(sources),
        _array(own),
        _array(columns + first_label).astype(np.int16),
        _array(best),
        _array(levels).astype(np.int8),
        None if background is None else _array(background),
    )
    flat = scores.flatten()
    above = int((flat > rules.min_score).sum())
    # Without a top k all that are above the minimum score go on; of a badly trained one-stage model these may be millions.
    count = MAX_CANDIDATES if rules.top_k is not None else max(MAX_CANDIDATES, above)
    lowest_kept, entered = 0.0, None
    if len(flat) > count:
        best_ones = flat.topk(count).indices
        lowest_kept = float(flat[best_ones].min())
        entering = torch.cat(_entering(scores, levels, rules)) if above > count else best_ones[:0]
        # In their original order, on which the order of equal scores in torchvision depends.
        index = torch.cat([best_ones, entering]).unique()
        if above > count:
            entered = _array(torch.searchsorted(index, entering))
    else:
        index = torch.arange(len(flat), device=flat.device)
    at = index // scores.shape[1]
    columns = index % scores.shape[1]
    candidates = Candidates(
        _array(at),
        _array(columns + first_label),
        _array(flat[index]),
        _array(boxes[at] if boxes.ndim == 2 else boxes[at, columns]),
        _array(levels[at]),
    )
    return Gathered(places, candidates, lowest_kept, rules, entered)


def _entering(scores: Tensor, levels: Tensor, rules: Rules) -> list[Tensor]:
    """Returns the indices into the flat scores of the top k of each level or class, chosen as torchvision does, equal scores included."""
    index = torch.arange(scores.numel(), device=scores.device).view(scores.shape)
    by_class = rules.top_k_within == "class"
    groups = index.unbind(dim=1) if by_class else [index[levels == level].flatten() for level in levels.unique()]
    flat = scores.flatten()
    passed = [group[flat[group] > rules.min_score] for group in groups]
    return [group[flat[group].topk(min(rules.top_k or 0, len(group))).indices] for group in passed]


def heat_map(scores: Tensor, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Returns the best score in each cell of a level from the scores of its anchors [h·w·a], reduced to at most 128 cells a side."""
    grid = scores.reshape(*shape, -1).amax(dim=2)
    return _array(adaptive_max_pool2d(grid[None, None].float(), _reduced(shape))[0, 0])


def energy_map(features: Tensor) -> NDArray[np.float32]:
    """Returns the root mean square over the channels of one image's features [C,h,w], reduced to at most 128 cells a side."""
    energy = features.float().square().mean(dim=0).sqrt()
    return _array(adaptive_avg_pool2d(energy[None, None], _reduced((energy.shape[0], energy.shape[1])))[0, 0])


def _reduced(shape: tuple[int, int]) -> tuple[int, int]:
    factor = max(1.0, max(shape) / MAX_CELLS)
    return max(1, round(shape[0] / factor)), max(1, round(shape[1] / factor))


def _array(tensor: Tensor) -> NDArray:
    # A copy: tensors of inference mode, and views into larger ones, must not live as long as a recording.
    return np.array(tensor.cpu().numpy())
