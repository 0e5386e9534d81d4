"""Matching: decides which boxes of several results are the same object. Arrays and names only; no torch, no images."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CHUNK_SIZE = 10_000


def iou_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Computes the intersection over union of every box of one set with every box of another.

    Args:
        a: [N,4], XYXY.
        b: [M,4], XYXY.

    Returns:
        float64 [N,M] in 0–1; boxes without an area overlap nothing, not even themselves.
    """
    x0, y0, x1, y1 = np.asarray(a, np.float64).reshape(-1, 4).T[:, :, None]
    u0, v0, u1, v1 = np.asarray(b, np.float64).reshape(-1, 4).T[:, None, :]
    shared = (np.minimum(x1, u1) - np.maximum(x0, u0)).clip(0) * (np.minimum(y1, v1) - np.maximum(y0, v0)).clip(0)
    union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared
    overlaps: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return overlaps


def same_names(a: Sequence[str], b: Sequence[str]) -> NDArray[np.bool_]:
    """Returns which objects of one result have the same class as which objects of another, bool [N,M].

    Classes are compared by name, because ids differ from model to model.
    """
    ids = {name: number for number, name in enumerate({*a, *b})}
    return np.equal.outer([ids[name] for name in a], [ids[name] for name in b])


def match(iou: NDArray[np.float64], allowed: NDArray[np.bool_], iou_threshold: float) -> list[tuple[int, int]]:
    """Pairs objects greedily: the pair with the highest IoU first, ties by the smaller i + j, if both objects are still free.

    Two pairs that tie in both share no object, so the result does not depend on which set comes first.

    Args:
        iou: [N,M] in 0–1.
        allowed: bool [N,M], which pairs may be taken.
        iou_threshold: Lowest IoU of a pair, in 0–1.

    Returns:
        Pairs (i, j), in the order in which they were taken.
    """
    taken: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for i, j in _ascending(_candidates(iou, allowed, iou_threshold)):
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            taken.append((i, j))
    return taken


def agree(boxes: Sequence[ArrayLike], names: Sequence[Sequence[str]], iou_threshold: float) -> list[dict[int, int]]:
    """Groups the detections of one object across several results: at most one detection per result.

    It goes through all pairs of detections of the same class, from two results, with an IoU of at least the threshold: highest IoU
    first, ties by the smaller i + j, then by the earlier results. A pair joins the groups of its objects, unless both groups have an
    object of the same result. Two results are grouped as `match` pairs them.

    Args:
        boxes: The boxes of each result, [N,4], XYXY.
        names: The class names of each result, N strings.
        iou_threshold: Lowest IoU of a pair, in 0–1.

    Returns:
        Groups: index of the result → index of its object. An object without a partner is a group by itself.
    """
    pairs = [np.empty((6, 0))]
    for first, second in itertools.combinations(range(len(boxes)), 2):
        iou, same = iou_matrix(boxes[first], boxes[second]), same_names(names[first], names[second])
        overlap, place, i, j = _candidates(iou, same, iou_threshold)
        pairs.append(np.stack([overlap, place, np.full_like(i, first), np.full_like(i, second), i, j]))
    group_of = {(result, index): {result: index} for result, found in enumerate(names) for index in range(len(found))}
    for first, second, i, j in _ascending(np.concatenate(pairs, axis=1)):
        kept, joined = group_of[first, i], group_of[second, j]
        if kept.keys().isdisjoint(joined):
            kept |= joined
            group_of.update((member, kept) for member in joined.items())
    return [dict(sorted(group.items())) for group in _distinct(group_of.values())]


def _candidates(iou: NDArray[np.float64], allowed: NDArray[np.bool_], iou_threshold: float) -> NDArray[np.float64]:
    """Returns the pairs that may be taken, float64 [4,K]: -IoU, i + j, i, j. The smallest column is to be taken first."""
    i, j = np.nonzero(allowed & (iou >= iou_threshold))
    return np.stack([-iou[i, j], i + j, i, j])


def _ascending(pairs: NDArray[np.float64]) -> Iterator[tuple[int, ...]]:
    """Yields the columns in ascending order, as integers, without the first two rows; in chunks, because there can be millions."""
    order = np.lexsort(pairs[::-1])
    for start in range(0, len(order), _CHUNK_SIZE):
        yield from map(tuple, pairs[2:, order[start : start + _CHUNK_SIZE]].T.astype(int).tolist())


def _distinct(groups: Iterable[dict[int, int]]) -> list[dict[int, int]]:
    """Removes repeated references to the same dictionary."""
    return list({id(group): group for group in groups}.values())
