"""Draws an explanation: candidates and refinements as boxes, maps as colors over the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.explanation.query import Query
from detection_core.explanation.record import Recording
from detection_core.explanation.why import Why
from detection_core.explanation.why_not import WhyNot
from detection_core.visualization import PALETTE, AnnotationStyle, annotate
from detection_core.visualization.boxes import draw_boxes, fit_boxes

_COLORS = colormaps["inferno"]
_OPACITY = 0.6
_BOXES = AnnotationStyle(masks=False, contours=False, skeletons=False)
_ASKED = (255, 255, 255)
# The point that is asked about, as a share of the image's longer side.
_POINT = 0.01


def draw_why_not(image: Image.Image, recording: Recording, answer: WhyNot, query: Query) -> Image.Image:
    """Draws the candidates at the place that is asked about, with the best class of each, and the place in white."""
    best = [place.classes[0] for place in answer.places]
    drawn = _draw(image, recording, [place.box for place in answer.places], [each.name for each in best], [each.score for each in best])
    asked = query.box
    if query.at is not None:
        side = _POINT * max(image.size)
        x, y = query.at
        asked = (x - side, y - side, x + side, y + side)
    line = round(_BOXES.line_width(recording.image_size))
    draw_boxes(drawn, fit_boxes(np.array([asked], np.float32), recording.image_size, line), [_ASKED], line)
    return drawn


def draw_why(image: Image.Image, recording: Recording, answer: Why) -> Image.Image:
    """Draws an object's refinements, the last of which is its box; anchors and proposals have the score that was computed for them."""
    steps = answer.refinements
    score = answer.score if answer.objectness is None else answer.objectness
    names = [*(step.name for step in steps[:-1]), answer.name]
    return _draw(image, recording, [step.box for step in steps], names, [*[score] * (len(steps) - 1), answer.score])


def draw_map(image: Image.Image, heat: NDArray[Any]) -> Image.Image:
    """Draws a map [h,w] of any size over an image that it covers; the highest value is the brightest.

    Args:
        image: The image.
        heat: Values of at least 0.
    """
    highest = float(heat.max()) if heat.size else 0.0
    values = resized_map(np.asarray(heat / highest if highest else heat, np.float32), image.size)
    colors = Image.fromarray((255 * _COLORS(values)[..., :3]).astype(np.uint8))
    return Image.blend(image.convert("RGB"), colors, _OPACITY)


def resized_map(heat: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Enlarges or reduces a map [h,w] to (width, height)."""
    return np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))


def draw_level(recording: Recording, heat: NDArray[np.float32]) -> Image.Image:
    """Draws a level's map over the network's input, without the part that covers the padding."""
    image = Image.fromarray(recording.network_image)
    (height, width), (padded_height, padded_width) = recording.network_size, recording.padded_size
    whole = (round(image.width * padded_width / width), round(image.height * padded_height / height))
    values = np.asarray(Image.fromarray(heat).resize(whole, Image.Resampling.BILINEAR))
    return draw_map(image, values[: image.height, : image.width])


def _draw(
    image: Image.Image, recording: Recording, boxes: Sequence[tuple[float, ...]], names: Sequence[str], scores: Sequence[float]
) -> Image.Image:
    categories = list(dict.fromkeys(names))
    labels = np.array([categories.index(name) for name in names], np.int64)
    array = np.array(boxes, np.float32).reshape(-1, 4)
    found = Detections(array, labels, np.array(scores, np.float32), recording.image_size, tuple(categories) or ("",))
    # In the order of the detections, which are sorted by score.
    order = np.argsort(-np.array(scores, np.float32), kind="stable") if np.any(np.diff(scores) > 0) else np.arange(len(scores))
    colors = [PALETTE[labels[index] % len(PALETTE)] for index in order]
    return annotate(image, found, _BOXES, colors=colors)
