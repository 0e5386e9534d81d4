"""Reads and checks one entry of a COCO file written by another tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.formats.coco_values import as_number, as_whole_number, fit_to_show, is_missing, plain, shown
from detection_core.formats.errors import InvalidEntryError
from detection_core.formats.rle import decode_crop, runs_of

# Tools that compute scores in 16 or 32 bits, or add them up, exceed the limits by this much.
_ROUNDING = 1e-3
_MOST_POINTS = 20_000
_MOST_KEYPOINTS = 1_000

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Entry:
    """The checked values of an entry.

    Attributes:
        place: Its position in the file, such as "results[3]".
        category_id: Id of the class, or None if the file names it instead.
        name: Name of the class, or "" if the file has only an id.
        score: Score in 0–1.
        box: XYXY in pixels, within the image.
        runs: Run lengths of the mask, or None.
        polygons: float64 [P,2] each, within the image; empty if there are none.
        is_flat: Whether it has polygons of fewer than three points, and no others, so that it has no mask.
        keypoints: float64 [K,3]: x, y and the third number in the file; or None.
        logits: float64 [K], or None if the file has none.
    """

    place: str
    category_id: int | None
    name: str
    score: float
    box: Box
    runs: NDArray[np.int64] | None
    polygons: list[NDArray[np.float64]]
    is_flat: bool
    keypoints: NDArray[np.float64] | None
    logits: NDArray[np.float64] | None


def read_entry(entry: dict[str, Any], place: str, image_size: tuple[int, int], *, is_annotation: bool = False) -> Entry:
    """Checks an entry.

    Numbers may be texts or NumPy's, and whole numbers floats. A score may exceed 0–1 by 0.001. A mask that is null, empty or has fewer
    than three points is none. A box of four zeros, which Mask2Former writes, gives way to the one around the mask or the keypoints.

    Args:
        entry: The parsed JSON object.
        place: Its position in the file.
        image_size: (height, width) of the image.
        is_annotation: Whether it is an annotation by a person, which has no score and counts as certain.

    Raises:
        InvalidEntryError: If a value is invalid or belongs to another image.
    """
    try:
        category_id, name = class_of(entry)
        if category_id is None and not name:
            raise ValueError(f"its “category_id” {_is_not('a whole number of at least 0', entry.get('category_id'))}")
        score = 1.0 if is_annotation else _score(entry.get("score"))
        runs, polygons, is_flat = _segmentation(entry.get("segmentation"), image_size)
        keypoints, logits = _keypoints(entry)
        box = _box(entry.get("bbox"), image_size)
        if box is None or (not any(box) and (runs is not None or polygons or keypoints is not None)):
            box = _box_around(box, runs, polygons, keypoints, image_size)
        return Entry(place, category_id, name, score, box, runs, polygons, is_flat, keypoints, logits)
    except ValueError as error:
        raise InvalidEntryError(f"{place}: {error}.") from error


def class_of(entry: dict[str, Any]) -> tuple[int | None, str]:
    """Returns an entry's category id, or None if it is not one, and the name that the entry gives the class, or "".

    The name is `category_name`, which SAHI and others add, or a `category_id` that is a name.
    """
    value, name = entry.get("category_id"), entry.get("category_name")
    if type(value) is int and name is None and 0 <= value < 2**31:
        return value, ""
    value = plain(value)
    number = as_whole_number(value)
    name = fit_to_show(name) if isinstance(name, str) else ""
    if number is None and isinstance(value, str) and as_number(value) is None:
        return None, fit_to_show(value) or name
    if (number is None and value is not None) or (number is not None and not 0 <= number < 2**31):
        return None, ""
    return number, name


def is_crowd(entry: dict[str, Any]) -> bool:
    """Whether an entry is a crowd (`iscrowd`): a region with many objects, not an object."""
    value = entry.get("iscrowd")
    if value is None or (type(value) is int and value == 0):
        return False
    value = plain(value)
    return value is True or as_whole_number(value) == 1 or (isinstance(value, str) and value.strip().lower() == "true")


def four_numbers(value: Any) -> tuple[float, float, float, float] | None:
    """Returns a box as it is written, or None if it is none."""
    value = plain(value)
    numbers = [as_number(item) for item in value] if isinstance(value, list) and len(value) == 4 else [None]
    if None in numbers:
        return None
    x, y, width, height = numbers
    return x, y, width, height  # type: ignore[return-value]


def _is_not(expected: str, value: Any) -> str:
    return f"must be {expected}, but is missing" if value is None else f"must be {expected}, but is {shown(value)}"


def _score(value: Any) -> float:
    score = as_number(value)
    if value is None:
        raise ValueError(
            "its “score” is missing. Write the detection's confidence, from 0 to 1, under this name; annotations by people, "
            "which have none, are read as a COCO data set with “images” and “categories”"
        )
    if score is None or not -_ROUNDING <= score <= 1 + _ROUNDING:
        is_percentage = score is not None and 2 <= score <= 100
        raise ValueError(f"its “score” {_is_not('a number from 0 to 1', value)}" + (". Divide percentages by 100" if is_percentage else ""))
    return min(max(score, 0.0), 1.0)


def _numbers(value: Any, what: str, most: int) -> NDArray[np.float64]:
    """Checks a flat list of finite numbers and returns it as an array."""
    value = plain(value)
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{what} {_is_not(f'a list of at most {most:,} numbers', value)}")
    numbers = [as_number(item) for item in value]
    if None in numbers:
        position = numbers.index(None)
        raise ValueError(f"{what} must contain finite numbers up to a billion, but position {position} is {shown(value[position])}")
    return np.array(numbers, np.float64)


def _box(value: Any, image_size: tuple[int, int]) -> Box | None:
    value = plain(value)
    if value is None or value == []:
        return None
    expected = "a list of four numbers [x, y, width, height]"
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"its “bbox” {_is_not(expected, value)}")
    x0, y0, width, height = _numbers(value, "its “bbox”", 4).tolist()
    if width < 0 or height < 0:
        raise ValueError(f"its “bbox” must be [x, y, width, height] with no negative size, but is {width:g}×{height:g} pixels")
    return _clipped((x0, y0, x0 + width, y0 + height), image_size)


def _clipped(box: Box, image_size: tuple[int, int]) -> Box:
    height, width = image_size
    x0, y0, x1, y1 = box
    if x0 > width or y0 > height or x1 < 0 or y1 < 0:
        raise ValueError(f"its box lies outside the image of {width}×{height} pixels, so it belongs to another image or size")
    return max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))


def _box_around(
    box: Box | None,
    runs: NDArray[np.int64] | None,
    polygons: list[NDArray[np.float64]],
    keypoints: NDArray[np.float64] | None,
    image_size: tuple[int, int],
) -> Box:
    """Returns the smallest box around a mask or keypoints, for entries without a box, or the given box if these are empty."""
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
    if len(points):
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return _clipped((x0, y0, x1, y1), image_size)
    if box is None:
        raise ValueError("it has no “bbox”, and its mask or keypoints are empty")
    return box


def _segmentation(value: Any, image_size: tuple[int, int]) -> tuple[NDArray[np.int64] | None, list[NDArray[np.float64]], bool]:
    """Returns run lengths or polygons, neither if there is no mask, and whether there are only polygons of fewer than three points."""
    value = plain(value)
    # pycocotools reads a list of run lengths, too.
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
    if is_missing(value) or (isinstance(value, dict) and plain(value.get("counts")) in ("", [])):
        return None, [], False
    if isinstance(value, dict):
        return _runs(value, image_size), [], False
    if not isinstance(value, list):
        raise ValueError("its “segmentation” must be a list of polygons, or an object with “size” and “counts”")
    rings = [plain(ring) for ring in value]
    rings = [ring for ring in rings if ring != []] if any(isinstance(ring, list) for ring in rings) else [value]
    polygons = [_numbers(ring, "a polygon of its “segmentation”", 2 * _MOST_POINTS) for ring in rings]
    if sum(len(polygon) for polygon in polygons) > 2 * _MOST_POINTS:
        raise ValueError(f"its polygons have more than {_MOST_POINTS:,} points")
    if any(len(polygon) % 2 for polygon in polygons):
        raise ValueError("a polygon of its “segmentation” must be [x, y, x, y, …] with at least three points")
    height, width = image_size
    whole = [np.clip(polygon.reshape(-1, 2), 0, (width, height)) for polygon in polygons if len(polygon) >= 6]
    return None, whole, bool(polygons) and not whole


def _runs(value: dict[str, Any], image_size: tuple[int, int]) -> NDArray[np.int64]:
    size, counts = plain(value.get("size")), plain(value.get("counts"))
    sides = [as_whole_number(side) for side in size] if isinstance(size, list) and len(size) == 2 else [None]
    if sides != list(image_size):
        mask_size = "of no known size" if None in sides else f"{sides[1]}×{sides[0]}"
        raise ValueError(f"its mask is {mask_size}, but the image has {image_size[1]}×{image_size[0]} pixels")
    if isinstance(counts, list):
        counts = [as_whole_number(count) for count in counts]
    elif not isinstance(counts, str):
        raise ValueError("the “counts” of its “segmentation” must be a text or a list of whole numbers")
    return runs_of(counts, image_size[0] * image_size[1])


def _keypoints(entry: dict[str, Any]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    value, scores = plain(entry.get("keypoints")), plain(entry.get("keypoint_scores"))
    if is_missing(value):
        return None, None
    if isinstance(value, list) and all(isinstance(point, list) and len(point) == 3 for point in value):
        value = [number for point in value for number in point]  # As in an array [K,3].
    flat = _numbers(value, "its “keypoints”", 3 * _MOST_KEYPOINTS)
    if len(flat) % 3:
        raise ValueError(f"its “keypoints” must be [x, y, v, x, y, v, …], but there are {len(flat)} numbers")
    keypoints = flat.reshape(-1, 3)
    if scores is None:
        return keypoints, None
    logits = _numbers(scores, "its “keypoint_scores”", _MOST_KEYPOINTS)
    if len(logits) != len(keypoints):
        raise ValueError(f"it has {len(keypoints)} keypoints but {len(logits)} “keypoint_scores”")
    return keypoints, logits
