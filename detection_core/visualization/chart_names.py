"""Places the names of a chart's points so that nothing overlaps: beside a point, or farther away at the end of a thin line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MARKER = 9
"""Diameter of a point's marker, in pixels."""
_GAP = 5
_BESIDE = MARKER / 2 + _GAP
# The search for a free place proceeds in bands of this many pixels.
_BAND = 40
# Margin around other names' points, so that a name is not taken for theirs.
_CLEARANCE = np.array([-MARKER / 2 - 2 * _GAP, -MARKER / 2 - 1, MARKER / 2 + 2 * _GAP, MARKER / 2 + 1])
_OWN = np.array([-MARKER, -MARKER, MARKER, MARKER]) / 2
# Angles of the lines to names that are farther away: flat ones first, alternating between right and left.
_ANGLES = np.deg2rad(sorted(range(0, 360, 15), key=lambda degrees: abs(np.sin(np.deg2rad(degrees)))))


@dataclass(frozen=True, eq=False)
class NamePlace:
    """The place of a name.

    Attributes:
        box: The left, lower, right and upper side of the name: float64 [4].
        line: The two ends of the line from the point to the name, float64 [2, 2]; None if the name is beside the point.
    """

    box: np.ndarray
    line: np.ndarray | None


def place_names(points: Sequence[np.ndarray], sizes: Sequence[tuple[float, float]], within: np.ndarray) -> list[NamePlace]:
    """Finds a place for every name. All lengths are in pixels, y upwards.

    Args:
        points: The points of each name, float64 [N, 2] each; several points are joined by a straight line from the first to the last.
        sizes: Width and height of each name.
        within: Left, lower, right and upper side of the area that contains all names: [4].

    Returns:
        A place for each name, in the order given. If there is no room left, a name may cover another one.
    """
    taken = [_boxes_along(xys[0], xys[-1]) for xys in points if len(xys) > 1]
    beside = [_beside(xys, *size) for xys, size in zip(points, sizes, strict=True)]
    markers = [np.tile(xys, 2) + _CLEARANCE for xys in points]
    placed: dict[int, NamePlace] = {}

    def obstacles(index: int) -> np.ndarray:
        foreign = [boxes for other, boxes in enumerate(markers) if other != index]
        return np.vstack([*taken, *foreign, np.tile(points[index], 2) + _OWN])

    # The names with the fewest free places beside their points are placed first.
    freedom = [_free(boxes, obstacles(index), within).sum() for index, boxes in enumerate(beside)]
    for index in np.argsort(freedom, kind="stable"):
        place = _first_place(points[index][0], sizes[index], beside[index], obstacles(index), within)
        placed[int(index)] = place
        taken.append(place.box[None])
        if place.line is not None:
            taken.append(_boxes_along(*place.line))
    return [placed[index] for index in range(len(points))]


def _first_place(xy: np.ndarray, size: tuple[float, float], beside: np.ndarray, full: np.ndarray, within: np.ndarray) -> NamePlace:
    """Returns the best free place for a name, first beside its point, then farther away.

    A point that is surrounded by others has none: then its line crosses them, but its name is still free if there is any room.
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
    """Returns the places beside each of a name's points, best first: boxes [8 N, 4]."""
    places = []
    for x, y in xys:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            left = x + _BESIDE if dx > 0 else x - _BESIDE - width if dx < 0 else x - width / 2
            lower = y - height / 2 + dy * (_BESIDE + height / 2) * (0.8 if dx else 1)
            places.append((left, lower, left + width, lower + height))
    return np.array(places)


def _away(xy: np.ndarray, width: float, height: float, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns places at these distances, in their order: boxes [N, 4], and the ends of the line from the point to each, [N, 2, 2]."""
    distances, angles = np.meshgrid(distances, _ANGLES, indexing="ij")
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1, 1, 2)
    # Three places at the end of each line: the same one if it is flat; otherwise the line may end at three positions along the name.
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
    """Returns which boxes lie within the area and overlap nothing, bool [N]."""
    inside = np.all(boxes[:, :2] >= within[:2], axis=1) & np.all(boxes[:, 2:] <= within[2:], axis=1)
    return np.asarray(inside & ~np.any(_overlaps(boxes, full), axis=1))


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns which of boxes [N, 4] overlap which of others [M, 4], bool [N, M]."""
    one, other = boxes[:, None], others[None]
    return np.asarray(np.all(one[..., :2] < other[..., 2:], axis=2) & np.all(other[..., :2] < one[..., 2:], axis=2))


def _boxes_along(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Covers a line with a row of small boxes without gaps, [N, 4]."""
    steps = max(2, int(np.hypot(*(end - begin))))
    spots = begin + np.linspace(0, 1, steps)[:, None] * (end - begin)
    return np.hstack([spots - 1, spots + 1])
