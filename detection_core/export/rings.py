"""One closed line around a mask of several rings, for formats that have room for one polygon only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def joined(rings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Joins rings by bridges of no width at their nearest points, as Ultralytics' `merge_multi_segment` does.

    Args:
        rings: At least one, float32 [P,2] each; holes are rings too.

    Returns:
        float32 [P,2]; filled with the even-odd rule, it covers what the rings cover.
    """
    whole, *others = sorted(rings, key=len, reverse=True)
    for ring in others:
        distance = ((whole[:, None] - ring[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(int(distance.argmin()), distance.shape)
        loop = np.concatenate([ring[there:], ring[: there + 1]])
        whole = np.concatenate([whole[: here + 1], loop, whole[here:]])
    return whole
