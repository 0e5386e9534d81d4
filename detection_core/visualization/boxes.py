"""Boxes: rectangles that stay visible at the border of the image and when they are smaller than a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detection_core.visualization.palette import Color

_HALO = (0, 0, 0, 128)


def fit_boxes(boxes: NDArray[np.float32], image_size: tuple[int, int], width: int) -> NDArray[np.int64]:
    """Computes the rectangles covered by boxes whose edges are lines of `width` pixels.

    Args:
        boxes: float32 [N,4], XYXY in pixels; they may lie outside the image.
        image_size: (height, width) of the image.
        width: Width of the lines in pixels.

    Returns:
        int64 [N,4], XYXY in whole pixels, lower right corner excluded: within the image, and at least 3 lines wide and high
        where the image is large enough, so that every box is visible.
    """
    limit = np.array(image_size[::-1])
    low = np.clip(np.floor(boxes[:, :2] - width / 2 + 0.5), 0, limit)
    high = np.clip(np.floor(boxes[:, 2:] + width / 2 + 0.5), 0, limit)
    missing = np.maximum(3 * width - (high - low), 0)
    low = np.clip(low - np.floor(missing / 2), 0, np.maximum(limit - 3 * width, 0))
    high = np.minimum(np.maximum(high, low + 3 * width), limit)
    return np.concatenate([low, high], axis=1).astype(np.int64)


def draw_boxes(image: Image.Image, rectangles: NDArray[np.int64], colors: Sequence[Color], width: int) -> None:
    """Draws the rectangles from `fit_boxes` on an RGB image, in place; the first one, which has the best score, is on top."""
    draw = ImageDraw.Draw(image, "RGBA")
    halo = max(1, width // 4)
    for (left, top, right, bottom), color in zip(rectangles[::-1].tolist(), reversed(colors), strict=True):
        inclusive = (left, top, right - 1, bottom - 1)
        around = (left - halo, top - halo, right - 1 + halo, bottom - 1 + halo)
        draw.rectangle(around, outline=_HALO, width=width + 2 * halo)
        draw.rectangle(inclusive, outline=color, width=width)
