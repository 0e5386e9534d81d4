"""Checks a single COCO annotation: its category, box, mask and keypoints."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.models.catalog import Task

# The problem and its remedy.
Problem = tuple[str, str]

# Pixels. COCO's own boxes leave the image by up to 0.01 (two decimals), tools that count pixels from 1 or include the last by 1.
TOLERANCE = 1.0


def annotation_problems(
    annotation: dict[str, Any], image: AnnotatedImage, dataset: CocoDataset, tasks: Collection[Task]
) -> Iterator[Problem]:
    """Yields the problems of one COCO annotation entry; see `checks.check` for the list of checks.

    Args:
        annotation: The entry of an object or a crowd.
        image: The annotated image.
        dataset: The data set with the classes and keypoints.
        tasks: The tasks to be trained.
    """
    if annotation["category_id"] not in dataset.labels:
        yield f"its category id {annotation['category_id']} is unknown", 'Add the class to "categories", or correct the id'
    yield from _box_problems(annotation.get("bbox"), image.size)
    if _finite_numbers([annotation.get("area", 0)]) is None:
        yield f'its "area" is {_short(annotation["area"])}, not a number', "Write the area in pixels, or leave it out"
    crowd = annotation.get("iscrowd")
    if crowd not in (None, 0, 1):
        yield f'its "iscrowd" is {_short(crowd)}, not 0 or 1', "Write 1 for a group of objects and 0 for one object"
    if "masks" in tasks and (annotation.get("segmentation") if crowd else image.has_masks):
        yield from _mask_problems(annotation.get("segmentation"), image.size)
    if "keypoints" in tasks and annotation.get("keypoints") and not crowd:
        yield from _keypoint_problems(annotation["keypoints"], len(dataset.keypoint_names), image.size)


def _box_problems(bbox: Any, size: tuple[int, int]) -> Iterator[Problem]:
    values = _finite_numbers(bbox)
    if values is None or len(values) != 4:
        yield f'its "bbox" is {_short(bbox)}, not four numbers', "Write the box as [x, y, width, height] in pixels"
        return
    x, y, width, height = values
    if width <= 0 or height <= 0:
        yield f"its box is {width:g} × {height:g} pixels", "Draw it again, or remove the annotation"
        return
    corners = np.array([[x, y], [x + width, y + height]], np.float32)
    clipped = corners.clip(0, size)
    if np.abs(corners - clipped).max() > TOLERANCE or (clipped[0] >= clipped[1]).any():
        where = f"from ({x:g}, {y:g}) to ({x + width:g}, {y + height:g})"
        advice = "Clip it to the image; if the numbers are two corners, write [x, y, width, height] instead"
        yield f"its box reaches {where}, beyond the image of {size[0]} × {size[1]} pixels", advice


def _mask_problems(segmentation: Any, size: tuple[int, int]) -> Iterator[Problem]:
    if not segmentation:
        yield "it has no segmentation, though its image says has_masks", "Outline the object, or set has_masks to false"
    elif isinstance(segmentation, list):
        yield from _polygon_problems(segmentation, size)
    elif isinstance(segmentation, dict):
        yield from _rle_problems(segmentation, size)
    else:
        yield f"its segmentation is {_short(segmentation)}", "Write polygons [[x, y, x, y, …], …] or an RLE with size and counts"


def _polygon_problems(polygons: list[Any], size: tuple[int, int]) -> Iterator[Problem]:
    points = []
    for polygon in polygons:
        values = _finite_numbers(polygon)
        if values is None:
            yield f"a polygon is {_short(polygon)}, not a list of numbers", "Write polygons as [[x, y, x, y, …], …]"
            return
        if len(values) % 2:
            yield f"a polygon has {len(values)} numbers, so one x lacks its y", "Write polygons as [[x, y, x, y, …], …]"
            return
        if len(values) < 6:
            yield f"a polygon has {len(values) // 2} points", "Give each polygon three points or more, or remove it"
            return
        points.append(values)
    width, height = size
    # Drawing takes time and memory in proportion to the polygon's length.
    if any((np.abs(values.reshape(-1, 2) - (width / 2, height / 2)) > (2 * width, 2 * height)).any() for values in points):
        yield f"a polygon is far outside the image of {width} × {height} pixels", "Write its points in pixels of this image"
    elif not coco_mask.area(coco_mask.merge(coco_mask.frPyObjects([values.tolist() for values in points], height, width))):
        yield "its mask is empty: its polygons enclose no pixel of the image", "Outline the object again, or remove the annotation"


def _rle_problems(rle: dict[str, Any], size: tuple[int, int]) -> Iterator[Problem]:
    width, height = size
    if rle.get("size") != [height, width]:
        advice = "Encode the mask in the image's own size, [height, width]"
        yield f"its RLE has the size {_short(rle.get('size'))}, not the image's [{height}, {width}]", advice
        return
    counts = _rle_counts(rle.get("counts"))
    if counts is None or min(counts, default=-1) < 0 or sum(counts) != height * width:
        # Checked here, because pycocotools fills missing pixels with uninitialized memory.
        yield f"its RLE cannot be decoded: its counts do not add up to {height * width} pixels", "Encode the mask again"
    elif not sum(counts[1::2]):
        yield "its mask is empty: its RLE marks no pixel", "Outline the object again, or remove the annotation"


def _rle_counts(counts: Any) -> list[int] | None:
    """Returns the run lengths of an RLE, uncompressed or in COCO's compression (rleFrString in pycocotools' maskApi.c)."""
    if isinstance(counts, list):
        return counts if all(isinstance(value, int) for value in counts) else None
    if not isinstance(counts, str):
        return None
    lengths: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
            value = shift = 0
    return lengths if shift == 0 else None


def _keypoint_problems(keypoints: Any, count: int, size: tuple[int, int]) -> Iterator[Problem]:
    values = _finite_numbers(keypoints)
    if values is None:
        yield f'its "keypoints" are {_short(keypoints)}, not numbers', "Write x, y, visibility for each keypoint"
        return
    if len(values) != 3 * count:
        advice = 'Write x, y, visibility for each keypoint that "keypoints" of the category names'
        yield f"it has {len(values)} keypoint values, but {count} keypoints are named, which makes {3 * count}", advice
        return
    triples = values.reshape(-1, 3)
    strange = sorted(set(triples[:, 2]) - {0, 1, 2})
    if strange:
        yield f"a keypoint has the visibility {strange[0]:g}", "Use 0 (not labeled), 1 (hidden) or 2 (visible)"
    points = triples[triples[:, 2] > 0, :2]
    outside = points[(np.abs(points - points.clip(0, size)) > TOLERANCE).any(axis=1)]
    if len(outside):
        where = f"({outside[0][0]:g}, {outside[0][1]:g}), beyond the image of {size[0]} × {size[1]} pixels"
        yield f"a labeled keypoint is at {where}", "Correct it, or set its x, y and visibility to 0"


def _finite_numbers(values: Any) -> NDArray[np.float64] | None:
    # Whole numbers in JSON may be larger than any float.
    if not isinstance(values, list) or not all(isinstance(value, int | float) and abs(value) <= sys.float_info.max for value in values):
        return None
    return np.array(values, np.float64)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
