"""Where the names of a chart's points go: beside them, or farther away at the end of a thin line, so that nothing covers anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MARKER = 9
"""Diameter of a point's marker, in pixels."""
_GAP = 5
_BESIDE = MARKER / 2 + _GAP
# So many pixels of distance are looked through at a time.
_BAND = 40
# No name is so near to another one's point that it could be taken for that one's.
_ALOOF = np.array([-MARKER / 2 - 2 * _GAP, -MARKER / 2 - 1, MARKER / 2 + 2 * _GAP, MARKER / 2 + 1])
_OWN = np.array([-MARKER, -MARKER, MARKER, MARKER]) / 2
# Of the lines to names that are farther away: flat ones first, to the right and to the left in turns.
_ANGLES = np.deg2rad(sorted(range(0, 360, 15), key=lambda degrees: abs(np.sin(np.deg2rad(degrees)))))


@dataclass(frozen=True, eq=False)
class NamePlace:
    """Where a name goes.

    Attributes:
        box: Its left, lower, right and upper side: float64 [4].
        line: The two ends of the line from its point to it, float64 [2, 2]; None where it is beside the point.
    """

    box: np.ndarray
    line: np.ndarray | None


def place_names(points: Sequence[np.ndarray], sizes: Sequence[tuple[float, float]], within: np.ndarray) -> list[NamePlace]:
    """Finds a place for every name. All lengths are in pixels, y upwards.

    Args:
        points: The points that each name stands for, float64 [N, 2] each; a straight line joins several, from the first to the last.
        sizes: Width and height of each name.
        within: Left, lower, right and upper side of the area in which all names stay: [4].

    Returns:
        A place for each name, in the order given. Where everything is full, a name may cover another.
    """
    taken = [_boxes_along(xys[0], xys[-1]) for xys in points if len(xys) > 1]
    beside = [_beside(xys, *size) for xys, size in zip(points, sizes, strict=True)]
    markers = [np.tile(xys, 2) + _ALOOF for xys in points]
    placed: dict[int, NamePlace] = {}

    def obstacles(index: int) -> np.ndarray:
        foreign = [boxes for other, boxes in enumerate(markers) if other != index]
        return np.vstack([*taken, *foreign, np.tile(points[index], 2) + _OWN])

    # Those with the fewest places beside them choose first.
    freedom = [_free(boxes, obstacles(index), within).sum() for index, boxes in enumerate(beside)]
    for index in np.argsort(freedom, kind="stable"):
        place = _first_place(points[index][0], sizes[index], beside[index], obstacles(index), within)
        placed[int(index)] = place
        taken.append(place.box[None])
        if place.line is not None:
            taken.append(_boxes_along(*place.line))
    return [placed[index] for index in range(len(points))]


def _first_place(xy: np.ndarray, size: tuple[float, float], beside: np.ndarray, full: np.ndarray, within: np.ndarray) -> NamePlace:
    """The best place of those beside a point and those farther away that touches nothing of what is full.

    A point in the thick of others has none: then its line crosses them, but its name stands free, as long as there is room at all.
    """
    for box in beside[_free(beside, full, within)]:
        return NamePlace(box, None)
    crossing: NamePlace | None = None
    farthest = np.hypot(within[2] - within[0], within[3] - within[1])
    for distance in np.arange(2 * _BESIDE, farthest, _BAND):
        boxes, lines = _away(xy, *size, np.arange(distance, distance + _BAND, 4))
        free = _free(boxes, full, within)
        for box, line in zip(boxes[free], lines[free], strict=True):
            if not _overlaps(_boxes_along(*line), full).any():
                return NamePlace(box, line)
            crossing = crossing or NamePlace(box, line)
    return crossing or NamePlace(beside[0], None)


def _beside(xys: np.ndarray, width: float, height: float) -> np.ndarray:
    """Places beside each of a name's points, best first: boxes [8 N, 4]."""
    places = []
    for x, y in xys:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            left = x + _BESIDE if dx > 0 else x - _BESIDE - width if dx < 0 else x - width / 2
            lower = y - height / 2 + dy * (_BESIDE + height / 2) * (0.8 if dx else 1)
            places.append((left, lower, left + width, lower + height))
    return np.array(places)


def _away(xy: np.ndarray, width: float, height: float, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places so far from a point, in that order: boxes [N, 4], and the ends of the line from the point to each: [N, 2, 2]."""
    distances, angles = np.meshgrid(distances, _ANGLES, indexing="ij")
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1, 1, 2)
    # Three places at the end of each line: beside it, all the same; above or below it, where it may end at any part of the name.
    shares = np.array([0.5, 0.1, 0.9])
    ends = xy + distances.reshape(-1, 1, 1) * ways
    x, y, right, up = ends[..., 0], ends[..., 1], ways[..., 0], ways[..., 1]
    flat = abs(up) < 0.6
    left = np.where(flat, np.where(right > 0, x + 2, x - 2 - width), x - shares * width)
    lower = np.where(flat, y - height / 2, np.where(up > 0, y + 1, y - 1 - height)) + 0 * left
    boxes = np.stack([left, lower, left + width, lower + height], axis=-1)
    lines = np.stack(np.broadcast_arrays(xy + 1.1 * _BESIDE * ways, ends), axis=-2)
    return boxes.reshape(-1, 4), np.repeat(lines, len(shares), axis=1).reshape(-1, 2, 2)


def _free(boxes: np.ndarray, full: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Which boxes lie within the area and overlap nothing: bool [N]."""
    inside = np.all(boxes[:, :2] >= within[:2], axis=1) & np.all(boxes[:, 2:] <= within[2:], axis=1)
    return np.asarray(inside & ~np.any(_overlaps(boxes, full), axis=1))


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of boxes [N, 4] overlap which of others [M, 4]: bool [N, M]."""
    one, other = boxes[:, None], others[None]
    return np.asarray(np.all(one[..., :2] < other[..., 2:], axis=2) & np.all(other[..., :2] < one[..., 2:], axis=2))


def _boxes_along(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """A line as small boxes in a row, which leave no gap: [N, 4]."""
    steps = max(2, int(np.hypot(*(end - begin))))
    spots = begin + np.linspace(0, 1, steps)[:, None] * (end - begin)
    return np.hstack([spots - 1, spots + 1])
