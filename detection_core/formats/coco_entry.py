"""Reads and checks one entry of a COCO file written by another tool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.formats.errors import ResultsFormatError
from detection_core.formats.rle import decode_crop, runs_of

_LARGEST_NUMBER = 1e9
_MOST_POINTS = 20_000
_MOST_KEYPOINTS = 1_000

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Entry:
    """The checked values of an entry.

    Attributes:
        place: Its position in the file, such as "results[3]".
        category_id: COCO's id of the class.
        score: Score in 0–1; 1 if the entry has none, as in annotations by people.
        box: XYXY in pixels, within the image.
        runs: Run lengths of the mask, or None.
        polygons: float64 [P,2] each, within the image; empty if there are none.
        keypoints: float64 [K,3]: x, y and the third number in the file; or None.
        logits: float64 [K], or None if the file has none.
    """

    place: str
    category_id: int
    score: float
    box: Box
    runs: NDArray[np.int64] | None
    polygons: list[NDArray[np.float64]]
    keypoints: NDArray[np.float64] | None
    logits: NDArray[np.float64] | None


def read_entry(entry: dict[str, Any], place: str, image_size: tuple[int, int]) -> Entry:
    """Checks an entry.

    Args:
        entry: The parsed JSON object.
        place: Its position in the file.
        image_size: (height, width) of the image.

    Raises:
        ResultsFormatError: If a value is invalid or belongs to another image.
    """
    try:
        category = entry.get("category_id")
        if isinstance(category, bool) or not isinstance(category, int) or not 0 <= category < 2**31:
            raise ValueError("its “category_id” must be an integer of at least 0")
        score = as_number(entry.get("score", 1.0))
        if score is None or not 0 <= score <= 1:
            raise ValueError("its “score” must be a number from 0 to 1")
        runs, polygons = _segmentation(entry.get("segmentation"), image_size)
        keypoints, logits = _keypoints(entry)
        box = _box(entry.get("bbox"), image_size) or _box_around(runs, polygons, keypoints, image_size)
        return Entry(place, category, score, box, runs, polygons, keypoints, logits)
    except ValueError as error:
        raise ResultsFormatError(f"{place}: {error}.") from error


def as_number(value: Any) -> float | None:
    """Returns the value as a finite float, or None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST_NUMBER else None


def _numbers(value: Any, what: str, most: int) -> NDArray[np.float64]:
    """Checks a flat list of finite numbers and returns it as an array."""
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{what} must be a list of at most {most:,} numbers")
    numbers = [as_number(item) for item in value]
    if None in numbers:
        raise ValueError(f"{what} must contain finite numbers up to a billion, which position {numbers.index(None)} is not")
    return np.array(numbers, np.float64)


def _box(value: Any, image_size: tuple[int, int]) -> Box | None:
    if value is None or value == []:
        return None
    numbers = _numbers(value, "its “bbox”", 4)
    if len(numbers) != 4 or numbers[2] < 0 or numbers[3] < 0:
        raise ValueError("its “bbox” must be [x, y, width, height] with no negative size")
    x0, y0, width, height = numbers.tolist()
    return _clipped((x0, y0, x0 + width, y0 + height), image_size)


def _clipped(box: Box, image_size: tuple[int, int]) -> Box:
    height, width = image_size
    x0, y0, x1, y1 = box
    if x0 > width or y0 > height or x1 < 0 or y1 < 0:
        raise ValueError(f"its box lies outside the image of {width}×{height} pixels, so it belongs to another image or size")
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _box_around(
    runs: NDArray[np.int64] | None, polygons: list[NDArray[np.float64]], keypoints: NDArray[np.float64] | None, image_size: tuple[int, int]
) -> Box:
    """Returns the smallest box around a mask or keypoints, for entries without a box."""
    height, width = image_size
    if runs is not None:
        rows, columns = np.nonzero(decode_crop(runs, image_size, (0, 0, width, height)))
        points = np.stack([columns, rows], axis=1).astype(float)
        points = np.concatenate([points, points + 1])
    elif polygons:
        points = np.concatenate(polygons)
    elif keypoints is not None:
        points = keypoints[keypoints[:, 2] > 0, :2]
    else:
        raise ValueError("it has no “bbox”, and no mask or keypoints from which to compute one")
    if not len(points):
        raise ValueError("it has no “bbox”, and its mask or keypoints are empty")
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return _clipped((x0, y0, x1, y1), image_size)


def _segmentation(value: Any, image_size: tuple[int, int]) -> tuple[NDArray[np.int64] | None, list[NDArray[np.float64]]]:
    """Returns run lengths or polygons; neither if there is no mask."""
    if value is None or value == []:
        return None, []
    if isinstance(value, dict):
        return _runs(value, image_size), []
    if not isinstance(value, list):
        raise ValueError("its “segmentation” must be a list of polygons, or an object with “size” and “counts”")
    rings = value if isinstance(value[0], list) else [value]
    polygons = [_numbers(ring, "a polygon of its “segmentation”", 2 * _MOST_POINTS) for ring in rings]
    if sum(len(polygon) for polygon in polygons) > 2 * _MOST_POINTS:
        raise ValueError(f"its polygons have more than {_MOST_POINTS:,} points")
    if any(len(polygon) % 2 or len(polygon) < 6 for polygon in polygons):
        raise ValueError("a polygon of its “segmentation” must be [x, y, x, y, …] with at least three points")
    height, width = image_size
    return None, [np.clip(polygon.reshape(-1, 2), 0, (width, height)) for polygon in polygons]


def _runs(value: dict[str, Any], image_size: tuple[int, int]) -> NDArray[np.int64]:
    size, counts = value.get("size"), value.get("counts")
    if size != list(image_size):
        sides = size if isinstance(size, list) and len(size) == 2 and all(map(as_number, size)) else None
        mask_size = f"{sides[1]}×{sides[0]}" if sides else "of no known size"
        raise ValueError(f"its mask is {mask_size}, but the image has {image_size[1]}×{image_size[0]} pixels")
    if not isinstance(counts, str | list):
        raise ValueError("the “counts” of its “segmentation” must be a text or a list of whole numbers")
    return runs_of(counts, image_size[0] * image_size[1])


def _keypoints(entry: dict[str, Any]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    if not entry.get("keypoints"):
        return None, None
    flat = _numbers(entry["keypoints"], "its “keypoints”", 3 * _MOST_KEYPOINTS)
    if len(flat) % 3:
        raise ValueError("its “keypoints” must be [x, y, v, x, y, v, …]")
    keypoints = flat.reshape(-1, 3)
    if entry.get("keypoint_scores") is None:
        return keypoints, None
    logits = _numbers(entry["keypoint_scores"], "its “keypoint_scores”", _MOST_KEYPOINTS)
    if len(logits) != len(keypoints):
        raise ValueError(f"it has {len(keypoints)} keypoints but {len(logits)} “keypoint_scores”")
    return keypoints, logits
