"""Labels: class names and scores that stay in the picture and off each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from detection_core.detections import Detections
from detection_core.visualization.palette import Color, ink


class Placement(NamedTuple):
    """Where a label goes: the upper left corner in whole pixels, and which of its variants fits there."""

    x: int
    y: int
    variant: int


class Label(NamedTuple):
    """A text ready to be drawn: the index of its object, and its plate's rectangle in pixels."""

    owner: int
    text: str
    left: int
    top: int
    right: int
    bottom: int


def place_labels(boxes: ArrayLike, sizes: ArrayLike, image_size: tuple[int, int]) -> list[Placement | None]:
    """Finds a place for each label, so that all lie in the picture and none covers another. First come, first served.

    Tried in turn for each variant: above the box, inside, below, then right-aligned, at its sides and in its middle.

    Args:
        boxes: [N,4], XYXY in pixels.
        sizes: int [N,V,2], (width, height) of each label's V variants in pixels, the preferred one first.
        image_size: (height, width) of the picture.

    Returns:
        N placements, None where no variant fits.
    """
    height, width = image_size
    boxes, sizes = np.asarray(boxes, float).reshape(-1, 4), np.asarray(sizes, int)
    limits = np.array([width, height] * 2)
    taken = np.zeros((len(boxes), 4), int)
    count = 0
    placements: list[Placement | None] = []
    for box, variants in zip(np.clip(boxes, 0, limits), sizes, strict=True):
        placement = _first_free(box, variants, taken[:count], (width, height))
        if placement:
            corner = np.array(placement[:2])
            taken[count] = [*corner, *(corner + variants[placement.variant])]
            count += 1
        placements.append(placement)
    return placements


def _first_free(
    box: NDArray[np.float64], variants: NDArray[np.int64], taken: NDArray[np.int64], frame: tuple[int, int]
) -> Placement | None:
    for variant, size in enumerate(variants):
        corners = _candidates(box, size, frame)
        free = (corners >= 0).all(axis=1) & (corners + size <= frame).all(axis=1)
        apart = (corners[:, None] >= taken[:, 2:]) | (corners[:, None] + size <= taken[:, :2])
        free &= apart.any(axis=2).all(axis=1)
        if free.any():
            x, y = corners[free.argmax()].tolist()
            return Placement(x, y, variant)
    return None


def _candidates(box: NDArray[np.float64], size: NDArray[np.int64], frame: tuple[int, int]) -> NDArray[np.int64]:
    """Upper left corners [C,2] in the order of preference, shifted sideways into the picture."""
    x0, y0, x1, y1 = box
    w, h = size
    inside = [(x0, y0), (x1 - w, y0), (x0, y1 - h), (x1 - w, y1 - h)]
    roomy = x1 - x0 >= w and y1 - y0 >= 2 * h
    corners = np.array(
        [
            (x0, y0 - h),
            *(inside[:1] if roomy else []),
            (x0, y1),
            (x1 - w, y0 - h),
            (x1 - w, y1),
            *inside,
            (x1, y0),
            (x0 - w, y0),
            (x1, y1 - h),
            (x0 - w, y1 - h),
            ((x0 + x1 - w) / 2, (y0 + y1 - h) / 2),
        ]
    )
    whole: NDArray[np.int64] = np.floor(corners).astype(np.int64)
    whole[:, 0] = np.clip(whole[:, 0], 0, max(frame[0] - w, 0))
    return whole


def lay_out_labels(detections: Detections, rectangles: ArrayLike, font_size: float, numbers: Sequence[int]) -> list[Label]:
    """Writes and places labels such as "person 0.93"; where there is no room, the object's number.

    Args:
        detections: N objects, the best first; they choose their places in this order.
        rectangles: [N,4], the boxes as drawn, XYXY in pixels.
        font_size: In pixels.
        numbers: One per object.
    """
    scores = detections.scores.tolist()
    texts = [(f"{name} {score:.2f}", str(number)) for name, score, number in zip(detections.names, scores, numbers, strict=True)]
    height = sum(_font(font_size).getmetrics())
    sizes = [[(_text_width(text, font_size) + 2 * _padding(font_size), height) for text in variants] for variants in texts]
    labels = []
    for owner, placement in enumerate(place_labels(rectangles, sizes, detections.image_size)):
        if placement:
            x, y, variant = placement
            labels.append(Label(owner, texts[owner][variant], x, y, x + sizes[owner][variant][0], y + height))
    return labels


def draw_labels(image: Image.Image, labels: Sequence[Label], colors: Sequence[Color], font_size: float) -> None:
    """Draws labels on an RGB image, in place: plates in their objects' colours, and texts that contrast with them."""
    draw = ImageDraw.Draw(image)
    padding, space = _padding(font_size), _space(font_size)
    for label in labels:
        color = colors[label.owner]
        draw.rounded_rectangle((label.left, label.top, label.right - 1, label.bottom - 1), padding / 2, fill=color)
        x = label.left + padding
        for word in label.text.split(" "):
            letters, advance = _word(word, font_size)
            draw.bitmap((x, label.top), letters, fill=ink(color))
            x += advance + space


def _padding(font_size: float) -> int:
    return max(2, round(font_size * 0.3))


def _text_width(text: str, font_size: float) -> int:
    words = text.split(" ")
    return sum(_word(word, font_size)[1] for word in words) + _space(font_size) * (len(words) - 1)


def _space(font_size: float) -> int:
    return round(font_size / 3)


@lru_cache(maxsize=2048)
def _word(word: str, font_size: float) -> tuple[Image.Image, int]:
    """A word's letters as an 8-bit mask as high as a label, and its width. Kept, because names and scores recur all the time."""
    font = _font(font_size)
    ascent, descent = font.getmetrics()
    advance = math.ceil(font.getlength(word))
    letters = Image.new("L", (advance + 1, ascent + descent))
    ImageDraw.Draw(letters).text((0, ascent), word, fill=255, font=font, anchor="ls")
    return letters, advance


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows Latin, Greek and Cyrillic class names."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
