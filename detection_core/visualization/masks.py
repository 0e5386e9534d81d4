"""Masks: fills that are blended once, and contours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detection_core.detections import Detections
from detection_core.visualization.canvas import Canvas
from detection_core.visualization.palette import Color

Polygons = list[NDArray[np.float32]]

# Contours are antialiased in images of up to this many pixels. In larger ones, lines are at least 3 pixels thick and their steps
# are hardly visible, and smoothing a hundred contours would take longer than everything else together.
_SMOOTH_PIXELS = 1_500_000


def largest_first(detections: Detections) -> list[int]:
    """Returns the objects' indices by decreasing mask area, so that small ones are drawn on top. Requires masks."""
    assert detections.masks is not None
    sides = detections.boxes[:, 2:] - detections.boxes[:, :2]
    area = sides.prod(axis=1) * detections.masks.mean(axis=(1, 2))
    return [int(index) for index in np.argsort(-area, kind="stable")]


def blend_fills(
    image: Image.Image, detections: Detections, polygons: Sequence[Polygons], colors: Sequence[Color], opacity: float
) -> Image.Image:
    """Fills masks. Where several overlap, only the smallest one is blended with the image.

    Args:
        image: RGB image; not changed.
        detections: N objects with masks.
        polygons: `detections.polygons(i)` for each of them.
        colors: N colors.
        opacity: Opacity of the fills, 0–1.

    Returns:
        A new RGB image.
    """
    painted = image.copy()
    draw = ImageDraw.Draw(painted)
    for index in largest_first(detections):
        rings = polygons[index]
        if len(rings) == 1:
            draw.polygon(rings[0].ravel().tolist(), fill=colors[index])
        elif rings:
            # Several rings may include holes, which Pillow's polygons do not support.
            crop, corner = detections.mask(index)
            painted.paste(colors[index], corner, Image.fromarray(crop))
    return Image.blend(image, painted, opacity)


def draw_contours(image: Image.Image, detections: Detections, polygons: Sequence[Polygons], colors: Sequence[Color], width: float) -> None:
    """Draws the masks' contours on an RGB image, in place, `width` pixels thick with a dark rim, large ones first."""
    smooth = image.width * image.height <= _SMOOTH_PIXELS
    rings = [(ring, colors[index]) for index in largest_first(detections) for ring in polygons[index]]
    (_draw_smooth if smooth else _draw_fast)(image, rings, width)


def _draw_smooth(image: Image.Image, rings: Sequence[tuple[NDArray[np.float32], Color]], width: float) -> None:
    canvas = Canvas(image.size)
    for ring, color in rings:
        canvas.halo(ring, width, closed=True)
        canvas.line(ring, width, color, closed=True)
    canvas.put_on(image)


def _draw_fast(image: Image.Image, rings: Sequence[tuple[NDArray[np.float32], Color]], width: float) -> None:
    draw = ImageDraw.Draw(image)
    line = round(width) + 1  # Pillow draws slanted lines too thin
    rim = 2 * max(1, line // 4)
    for ring, color in rings:
        # Continued past the first point, so that the last corner is drawn like the others.
        points = np.concatenate([ring, ring[:2]]).ravel().tolist()
        draw.line(points, fill=_shade(color), width=line + rim)
        draw.line(points, fill=color, width=line)


def _shade(color: Color) -> Color:
    red, green, blue = color
    return red // 3, green // 3, blue // 3
