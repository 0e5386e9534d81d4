"""annotate: draws detections over an image."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from detection_core.detections import Detections
from detection_core.images.limits import ImageLimits
from detection_core.images.reading import ImageSource, load_image
from detection_core.visualization.boxes import draw_boxes, fit_boxes
from detection_core.visualization.labels import draw_labels, lay_out_labels
from detection_core.visualization.masks import blend_fills, draw_contours
from detection_core.visualization.palette import Color, object_colors
from detection_core.visualization.skeleton import draw_skeletons
from detection_core.visualization.style import AnnotationStyle

_DEFAULT_STYLE = AnnotationStyle()
# The limits protect against small files that decode to huge images; an image in memory is already decoded.
_ANY_SIZE = ImageLimits(max_pixels=sys.maxsize, max_side=sys.maxsize, min_side=1, max_aspect=math.inf)


def annotate(
    image: ImageSource,
    detections: Detections,
    style: AnnotationStyle = _DEFAULT_STYLE,
    *,
    colors: Sequence[Color] | None = None,
    numbers: Sequence[int] | None = None,
    ids: Sequence[int] | None = None,
) -> Image.Image:
    """Draws detections over an image: mask fills, contours, boxes, skeletons and labels, in this order.

    Args:
        image: The image in which the objects were found, as `Detector.detect` takes it: a path, a PIL image of any mode, or a uint8
            array [H,W,3] (RGB), [H,W,4] (RGBA) or [H,W] (gray). It is not changed.
        detections: The objects; filter them first, as in `detections[detections.scores > 0.5]`.
        style: What is drawn, and how.
        colors: One color per object, instead of those chosen by `style.color_by`.
        numbers: One number per object, shown where its full label does not fit; by default its rank, counted from 1.
        ids: Track ids, which are shown in the labels; they replace `numbers`.

    Returns:
        A new RGB image of the same size.

    Raises:
        ImageError: If the image cannot be read.
        ValueError: If the image's size differs from that of the detections, or the number of colors from that of the objects.
    """
    size = detections.image_size
    source = rgb_of_size(image, size)
    if colors is None:
        colors = object_colors(detections, style.color_by)
    elif len(colors) != len(detections):
        raise ValueError(f"there are {len(colors)} colors for {len(detections)} objects; give one per object")

    line = style.line_width(size)
    needs_polygons = detections.masks is not None and (style.masks or style.contours)
    polygons = [detections.polygons(index) for index in range(len(detections))] if needs_polygons else []
    drawn = blend_fills(source, detections, polygons, colors, style.opacity) if polygons and style.masks else source.copy()
    if polygons and style.contours:
        draw_contours(drawn, detections, polygons, colors, line)
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


def rgb_of_size(image: ImageSource, size: tuple[int, int]) -> Image.Image:
    """Reads an image as `load_image` does and checks its size; an RGB image is returned as it is.

    Args:
        image: Whatever `load_image` takes.
        size: The expected (height, width).

    Raises:
        ValueError: If the size differs, or an array is not RGB uint8.
    """
    rgb = _rgb(image)
    if rgb.size != size[::-1]:
        raise ValueError(
            f"the image has {rgb.width}×{rgb.height} pixels but the detections are for {size[1]}×{size[0]}; "
            "pass the image in which they were found"
        )
    return rgb


def _rgb(image: ImageSource) -> Image.Image:
    # Most images are RGB, and videos have thousands of frames: these two cases avoid a conversion.
    if isinstance(image, Image.Image) and image.mode == "RGB" and not image.has_transparency_data and _is_decodable(image):
        return image
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return Image.fromarray(image)
    return load_image(image, limits=_ANY_SIZE if isinstance(image, Image.Image | np.ndarray) else None)


def _is_decodable(image: Image.Image) -> bool:
    """Returns whether an image, which may have been opened lazily, is complete; if not, `load_image` reports what is wrong."""
    try:
        image.load()
    except OSError:
        return False
    return True
