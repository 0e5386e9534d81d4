"""Soft masks on a small grid over a box, and how they become pixels and polygons. The arithmetic is torchvision's."""

from __future__ import annotations

from functools import cache

import contourpy
import numpy as np
from numpy.typing import NDArray

MASK_THRESHOLD = 0.5
_PADDING = 1


def mask_crop(
    grid: NDArray[np.float32], box: NDArray[np.float32], image_size: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Resamples a soft mask to the pixels of its box and cuts it at 0.5.

    Equals `torchvision.models.detection.roi_heads.paste_masks_in_image(...) >= 0.5`, without the full-frame float image: the
    bilinear resize is separable, hence two small matrix products.

    Args:
        grid: float32 [M,M], the soft mask over the box, 0–1.
        box: float32 [4], XYXY in pixels.
        image_size: (height, width) of the picture.

    Returns:
        A bool crop [h,w], clipped to the picture, and the (x, y) of its upper left corner.
    """
    height, width = image_size
    left, top, right, bottom = padded_box(grid, box)
    x0, x1 = max(left, 0), min(right + 1, width)
    y0, y1 = max(top, 0), min(bottom + 1, height)
    if x0 >= x1 or y0 >= y1:
        return np.zeros((0, 0), bool), (0, 0)
    padded = _padded(grid, _PADDING)
    rows = bilinear_weights(len(padded), max(bottom - top + 1, 1))[y0 - top : y1 - top]
    columns = bilinear_weights(len(padded), max(right - left + 1, 1))[x0 - left : x1 - left]
    return (rows @ (padded @ columns.T)) >= MASK_THRESHOLD, (x0, y0)


def mask_polygons(grid: NDArray[np.float32], box: NDArray[np.float32], image_size: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Traces the 0.5 contour of a soft mask on its grid, which takes 0.5 ms whatever the picture's size.

    Args:
        grid: float32 [M,M], the soft mask over the box, 0–1.
        box: float32 [4], XYXY in pixels.
        image_size: (height, width) of the picture, to which points are clipped.

    Returns:
        Closed rings, float32 [P,2] in pixels each, P ≥ 3, the last point not repeating the first. Fill them with the even-odd
        rule: holes are rings too.
    """
    height, width = image_size
    left, top, right, bottom = padded_box(grid, box)
    # One more ring of zeros than pasting has, so that contours close where a mask touches its box.
    padded = _padded(grid, _PADDING + 1)
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
    """Contours in grid units. `contourpy.contour_generator` would do, but checks its arguments for three times as long as it works."""
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


def _padded(grid: NDArray[np.float32], padding: int) -> NDArray[np.float32]:
    """The grid with zeros around it; `np.pad` takes five times as long."""
    padded = np.zeros((len(grid) + 2 * padding,) * 2, np.float32)
    padded[padding:-padding, padding:-padding] = grid
    return padded


def padded_box(grid: NDArray[np.float32], box: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """The box grown by one grid cell and cut to whole pixels, as `expand_boxes(...).to(int64)` does, in float32."""
    scale = np.float32((len(grid) + 2 * _PADDING) / len(grid))
    x0, y0, x1, y1 = np.asarray(box, np.float32)
    half = np.float32(0.5)
    half_width, half_height = (x1 - x0) * half * scale, (y1 - y0) * half * scale
    center_x, center_y = (x1 + x0) * half, (y1 + y0) * half
    return int(center_x - half_width), int(center_y - half_height), int(center_x + half_width), int(center_y + half_height)


def bilinear_weights(source: int, target: int) -> NDArray[np.float32]:
    """Weights [target, source] of `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` along one axis."""
    scale = np.float32(source) / np.float32(target)
    position = np.maximum((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)
    lower = position.astype(np.int64)
    upper = np.minimum(lower + 1, source - 1)
    fraction = position - lower.astype(np.float32)
    weights = np.zeros((target, source), np.float32)
    rows = np.arange(target)
    weights[rows, lower] += 1 - fraction
    weights[rows, upper] += fraction
    return weights
