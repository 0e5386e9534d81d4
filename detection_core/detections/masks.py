"""Turns soft masks on a small grid over a box into pixels and polygons, with torchvision's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import contourpy
import numpy as np
from numpy.typing import NDArray

MASK_THRESHOLD = 0.5
_PADDING = 1

# Masks whose weights are computed together: many, because a NumPy call costs as much as a hundred numbers; not all, to save memory.
_CHUNK_SIZE = 32


def mask_crops(
    grids: NDArray[np.float32], boxes: NDArray[np.float32], image_size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """Resamples soft masks to the pixels of their boxes, one after the other, and thresholds them at 0.5.

    Equals `torchvision.models.detection.roi_heads.paste_masks_in_image(...) >= 0.5`, without the full-frame float images: the
    bilinear resize is separable, so that two small matrix products are enough.

    Args:
        grids: float32 [N,M,M], soft masks over the boxes, 0–1.
        boxes: float32 [N,4], XYXY in pixels.
        image_size: (height, width) of the image.

    Yields:
        A bool crop [h,w], clipped to the image, and the (x, y) of its upper left corner.
    """
    height, width = image_size
    for start in range(0, len(grids), _CHUNK_SIZE):
        padded = _padded(grids[start : start + _CHUNK_SIZE], _PADDING)
        left, top, right, bottom = padded_boxes(grids.shape[1], boxes[start : start + _CHUNK_SIZE]).T
        x0, y0 = np.maximum(left, 0), np.maximum(top, 0)
        columns = _weights_within(padded.shape[1], left, right, x0, width)
        rows = _weights_within(padded.shape[1], top, bottom, y0, height)
        for grid, down, across, x, y in zip(padded, rows, columns, x0.tolist(), y0.tolist(), strict=True):
            if len(down) and len(across):
                yield (down @ (grid @ across.T)) >= MASK_THRESHOLD, (x, y)
            else:
                yield np.zeros((0, 0), bool), (0, 0)


def mask_crop(
    grid: NDArray[np.float32], box: NDArray[np.float32], image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Returns what `mask_crops` yields for one grid [M,M] over its box [4]."""
    return next(mask_crops(grid[None], np.asarray(box)[None], image_size))


def mask_polygons(grid: NDArray[np.float32], box: NDArray[np.float32], image_size: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Traces the 0.5 contour of a soft mask on its grid, which takes 0.5 ms regardless of the image's size.

    Args:
        grid: float32 [M,M], the soft mask over the box, 0–1.
        box: float32 [4], XYXY in pixels.
        image_size: (height, width) of the image, to which points are clipped.

    Returns:
        Closed rings, float32 [P,2] in pixels each, P ≥ 3; the last point does not repeat the first. Fill them with the even-odd
        rule: holes are rings too.
    """
    height, width = image_size
    left, top, right, bottom = padded_box(len(grid), box)
    # One ring of zeros more than in `mask_crops`, so that contours close where a mask touches its box.
    padded = _padded(grid[None], _PADDING + 1)[0]
    lines = _contours(padded)
    cells = len(grid) + 2 * _PADDING
    scale = np.array([max(right - left + 1, 1), max(bottom - top + 1, 1)], np.float32) / cells
    rings = []
    for line in lines:
        ring = (np.asarray(line[:-1], np.float32) - 0.5) * scale + (left, top)
        if len(ring) >= 3:
            rings.append(np.clip(ring, 0, (width, height)).astype(np.float32))
    return rings


def _contours(values: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Returns contours in grid units, without `contourpy.contour_generator`, whose argument checks take three times as long as its work."""
    x, y = _coordinates(len(values))
    generator = contourpy.SerialContourGenerator(
        x,
        y,
        values.astype(np.float64),
        None,
        line_type=contourpy.LineType.Separate,
        fill_type=contourpy.FillType.OuterCode,
        corner_mask=False,
        quad_as_tri=False,
        z_interp=contourpy.ZInterp.Linear,
    )
    lines: list[NDArray[np.float64]] = generator.lines(MASK_THRESHOLD)
    return lines


@cache
def _coordinates(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.meshgrid(np.arange(size, dtype=np.float64), np.arange(size, dtype=np.float64))
    return x, y


def _padded(grids: NDArray[np.float32], padding: int) -> NDArray[np.float32]:
    """Surrounds grids [N,M,M] with zeros; `np.pad` takes five times as long."""
    count, size, _ = grids.shape
    padded = np.zeros((count, size + 2 * padding, size + 2 * padding), np.float32)
    padded[:, padding:-padding, padding:-padding] = grids
    return padded


def padded_boxes(size: int, boxes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Grows boxes [N,4] by one cell of a grid of `size` and truncates them, in float32, as `expand_boxes(...).to(int64)` does."""
    scale, half = np.float32((size + 2 * _PADDING) / size), np.float32(0.5)
    upper, lower = np.asarray(boxes, np.float32)[:, :2], np.asarray(boxes, np.float32)[:, 2:]
    reach, center = (lower - upper) * half * scale, (lower + upper) * half
    return np.concatenate([center - reach, center + reach], axis=1).astype(np.int64)


def padded_box(size: int, box: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Returns `padded_boxes` for one box [4]."""
    x0, y0, x1, y1 = padded_boxes(size, np.asarray(box)[None])[0].tolist()
    return x0, y0, x1, y1


def bilinear_weights(source: int, target: int) -> NDArray[np.float32]:
    """Returns the weights [target, source] of `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` along one axis."""
    return _weights(source, np.full(target, target), np.arange(target))


def _weights_within(
    source: int, first: NDArray[np.int64], last: NDArray[np.int64], start: NDArray[np.int64], limit: int
) -> list[NDArray[np.float32]]:
    """Returns `bilinear_weights` for several targets, cropped to the visible part of each.

    Args:
        source: Number of values to interpolate between.
        first: int64 [N], the first pixel of each target.
        last: int64 [N], the last pixel of each target.
        start: int64 [N], the first visible pixel of each target.
        limit: The first pixel that is outside the image.
    """
    counts = np.maximum(np.minimum(last + 1, limit) - start, 0)
    ends = counts.cumsum()
    pixel = np.arange(ends[-1]) - np.repeat(ends - counts + first - start, counts)
    return np.split(_weights(source, np.repeat(np.maximum(last - first + 1, 1), counts), pixel), ends[:-1])


def _weights(source: int, target: NDArray[np.int64], pixel: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns the weights [P, source] of pixels [P], given the size of each pixel's target [P]."""
    half = np.float32(0.5)
    position = (pixel.astype(np.float32) + half) * (np.float32(source) / target.astype(np.float32)) - half
    position = position.clip(0, source - 1, out=position)
    lower = position.astype(np.int64)
    fraction = position - lower.astype(np.float32)
    weights = np.zeros((len(pixel), source), np.float32)
    place = np.arange(0, weights.size, source) + lower
    # In the last column `place + 1` is the next row, where the second `put` overwrites the fraction, which is 0 there.
    weights.put(place + 1, fraction, mode="clip")
    weights.put(place, 1 - fraction)
    return weights
