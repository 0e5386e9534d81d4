"""Labels: class names and scores, placed inside the image without overlapping each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from detection_core.detections import Detections
from detection_core.visualization.palette import Color, ink

_Rectangle = tuple[int, int, int, int]


class Placement(NamedTuple):
    """The place of a label: its upper left corner in whole pixels, and the variant that fits there."""

    x: int
    y: int
    variant: int


class Label(NamedTuple):
    """A text ready to be drawn, with the index of its object and the rectangle of its plate in pixels."""

    owner: int
    text: str
    left: int
    top: int
    right: int
    bottom: int


def place_labels(boxes: ArrayLike, sizes: ArrayLike, image_size: tuple[int, int]) -> list[Placement | None]:
    """Finds a place for each label so that all are inside the image and none covers another. Earlier labels have priority.

    It tries, for each variant: above the box, inside, below, then right-aligned, at its sides and in its middle.

    Args:
        boxes: [N,4], XYXY in pixels.
        sizes: int [N,V,2], (width, height) of each label's V variants in pixels, the preferred one first.
        image_size: (height, width) of the image.

    Returns:
        N placements; None where no variant fits.
    """
    height, width = image_size
    clipped = np.clip(np.asarray(boxes, float).reshape(-1, 4), 0, [width, height] * 2).tolist()
    # Plain numbers: most labels need only a few comparisons, for which NumPy's overhead would exceed the work.
    taken: list[_Rectangle] = []
    placements: list[Placement | None] = []
    for box, variants in zip(clipped, np.asarray(sizes, int).tolist(), strict=True):
        placement = _first_free(box, variants, taken, (width, height))
        if placement:
            x, y, variant = placement
            w, h = variants[variant]
            taken.append((x, y, x + w, y + h))
        placements.append(placement)
    return placements


def _first_free(box: list[float], variants: list[list[int]], taken: list[_Rectangle], frame: tuple[int, int]) -> Placement | None:
    for variant, (w, h) in enumerate(variants):
        for corner_x, corner_y in _candidates(box, w, h):
            x, y = min(max(math.floor(corner_x), 0), max(frame[0] - w, 0)), math.floor(corner_y)
            right, bottom = x + w, y + h
            if y < 0 or right > frame[0] or bottom > frame[1]:
                continue
            if all(x >= x1 or right <= x0 or y >= y1 or bottom <= y0 for x0, y0, x1, y1 in taken):
                return Placement(x, y, variant)
    return None


def _candidates(box: list[float], w: int, h: int) -> Iterator[tuple[float, float]]:
    """Yields upper left corners in order of preference; they may lie outside the image."""
    x0, y0, x1, y1 = box
    yield x0, y0 - h
    if x1 - x0 >= w and y1 - y0 >= 2 * h:
        yield x0, y0
    yield x0, y1
    yield x1 - w, y0 - h
    yield x1 - w, y1
    yield from ((x0, y0), (x1 - w, y0), (x0, y1 - h), (x1 - w, y1 - h))
    yield from ((x1, y0), (x0 - w, y0), (x1, y1 - h), (x0 - w, y1 - h))
    yield (x0 + x1 - w) / 2, (y0 + y1 - h) / 2


def lay_out_labels(
    detections: Detections, rectangles: ArrayLike, font_size: float, numbers: Sequence[int], *, numbered: bool = False
) -> list[Label]:
    """Places labels such as "person 0.93", or only the object's number where that does not fit.

    Args:
        detections: N objects, best first; their labels are placed in this order.
        rectangles: [N,4], the boxes as drawn, XYXY in pixels.
        font_size: Font size in pixels.
        numbers: One number per object.
        numbered: Whether labels always contain the number, as in "person #3 0.93".
    """
    texts = []
    for name, score, number in zip(detections.names, detections.scores.tolist(), numbers, strict=True):
        texts.append((f"{name} #{number} {score:.2f}" if numbered else f"{name} {score:.2f}", str(number)))
    sizes = [[label_size(text, font_size) for text in variants] for variants in texts]
    labels = []
    for owner, placement in enumerate(place_labels(rectangles, sizes, detections.image_size)):
        if placement:
            x, y, variant = placement
            width, height = sizes[owner][variant]
            labels.append(Label(owner, texts[owner][variant], x, y, x + width, y + height))
    return labels


def label_size(text: str, font_size: float) -> tuple[int, int]:
    """Returns the (width, height) of a label's plate in pixels."""
    return _text_width(text, font_size) + 2 * _padding(font_size), sum(_font(font_size).getmetrics())


def draw_labels(image: Image.Image, labels: Sequence[Label], colors: Sequence[Color], font_size: float) -> None:
    """Draws labels on an RGB image, in place: plates in the objects' colors, with text that contrasts with them."""
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
    """Renders a word as an 8-bit mask of a label's height, and returns it with its width. Cached, because names and scores recur."""
    font = _font(font_size)
    ascent, descent = font.getmetrics()
    advance = math.ceil(font.getlength(word))
    letters = Image.new("L", (advance + 1, ascent + descent))
    ImageDraw.Draw(letters).text((0, ascent), word, fill=255, font=font, anchor="ls")
    return letters, advance


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Loads DejaVu Sans, which comes with matplotlib and covers Latin, Greek and Cyrillic class names."""
    import matplotlib  # Imported here: it takes a fifth of a second, and the page starts without drawing.

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
