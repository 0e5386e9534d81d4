"""annotate: draws detections over an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.visualization.boxes import draw_boxes, fit_boxes
from detection_core.visualization.labels import draw_labels, lay_out_labels
from detection_core.visualization.masks import blend_fills, draw_contours
from detection_core.visualization.palette import Color, object_colors
from detection_core.visualization.skeleton import draw_skeletons
from detection_core.visualization.style import AnnotationStyle

_DEFAULT_STYLE = AnnotationStyle()


def annotate(
    image: Image.Image | NDArray[np.uint8],
    detections: Detections,
    style: AnnotationStyle = _DEFAULT_STYLE,
    *,
    colors: Sequence[Color] | None = None,
    numbers: Sequence[int] | None = None,
    ids: Sequence[int] | None = None,
) -> Image.Image:
    """Draws detections over an image: mask fills, contours, boxes, skeletons and labels, in this order.

    Args:
        image: The image in which the objects were found, as a PIL image or RGB uint8 [H,W,3]. It is not changed.
        detections: The objects; filter them first, as in `detections[detections.scores > 0.5]`.
        style: What is drawn, and how.
        colors: One color per object, instead of those chosen by `style.color_by`.
        numbers: One number per object, shown where its full label does not fit; by default its rank, counted from 1.
        ids: Track ids, which are shown in the labels; they replace `numbers`.

    Returns:
        A new RGB image of the same size.

    Raises:
        ValueError: If the image's size differs from that of the detections, or the number of colors from that of the objects.
    """
    size = detections.image_size
    source = rgb_of_size(image, size)
    if colors is None:
        colors = object_colors(detections, style.color_by)
    elif len(colors) != len(detections):
        raise ValueError(f"there are {len(colors)} colors for {len(detections)} objects; give one per object")

    line = style.line_width(size)
    needs_outlines = detections.masks is not None and (style.masks or style.contours)
    outlines = [detections.polygons(index) for index in range(len(detections))] if needs_outlines else []
    drawn = blend_fills(source, detections, outlines, colors, style.opacity) if outlines and style.masks else source.copy()
    if outlines and style.contours:
        draw_contours(drawn, detections, outlines, colors, line)
    rectangles = fit_boxes(detections.boxes, size, round(line))
    if style.boxes:
        draw_boxes(drawn, rectangles, colors, round(line))
    if detections.keypoints is not None and style.skeletons:
        draw_skeletons(drawn, detections, style.keypoint_threshold, line)
    if style.labels:
        font_size = style.font_size(size)
        numbers = ids or numbers or range(1, len(detections) + 1)
        draw_labels(drawn, lay_out_labels(detections, rectangles, font_size, numbers, numbered=bool(ids)), colors, font_size)
    return drawn


def rgb_of_size(image: Image.Image | NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Checks an image's size and converts it to RGB; an RGB image is returned as it is.

    Args:
        image: A PIL image or RGB uint8 [H,W,3].
        size: The expected (height, width).

    Raises:
        ValueError: If the size differs, or an array is not RGB uint8.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"an array must be RGB uint8 [H,W,3], got {image.dtype} {list(image.shape)}")
        image = Image.fromarray(image)
    if image.size != size[::-1]:
        raise ValueError(
            f"the image has {image.width}×{image.height} pixels but the detections are for {size[1]}×{size[0]}; "
            "pass the image in which they were found"
        )
    return image if image.mode == "RGB" else image.convert("RGB")
