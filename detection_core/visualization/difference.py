"""Difference: one image that shows which objects two models agree on and which only one of them found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detection_core.detections.comparison import Comparison
from detection_core.images.reading import ImageSource
from detection_core.visualization.annotate import rgb_of_size
from detection_core.visualization.boxes import draw_boxes, fit_boxes
from detection_core.visualization.labels import Label, draw_labels, label_size, place_labels
from detection_core.visualization.palette import COMPARISON, Color, from_hex
from detection_core.visualization.style import AnnotationStyle

_DEFAULT_STYLE = AnnotationStyle()
_A, _B, _BOTH = range(3)
_COLORS: tuple[Color, ...] = (*COMPARISON, from_hex("#e6e6e6"))
_LEGEND = from_hex("#18181b")
_HALO = (0, 0, 0, 128)
# Lengths of a dash and of the gap after it, in line widths.
_DASH, _GAP = 4, 3

_Plate = tuple[int, str]


class _Caption(NamedTuple):
    """A label for a rectangle: the first variant that fits is used. A variant is one or two plates (owner, text)."""

    rectangle: NDArray[np.int64]
    variants: list[list[_Plate]]


def annotate_comparison(
    image: ImageSource,
    comparison: Comparison,
    *,
    style: AnnotationStyle = _DEFAULT_STYLE,
    names: tuple[str, str] = ("A", "B"),
) -> Image.Image:
    """Draws objects that only A found in solid blue, those that only B found in dashed orange, and those that both found in light gray.

    Objects at the same place with different classes get both boxes and both names.

    Args:
        image: The image in which the objects were found, as `annotate` takes it. It is not changed.
        comparison: The comparison to draw.
        style: Whether labels are written, and the scale of lines and text; boxes are always drawn, masks and skeletons never.
        names: Names of A and B for the legend.

    Returns:
        A new RGB image of the same width, with a legend and the counts below it.

    Raises:
        ValueError: If the image's size differs from that of the detections.
    """
    size = comparison.a.image_size
    drawn = rgb_of_size(image, size).copy()
    line, font_size = round(style.line_width(size)), style.font_size(size)
    boxes_a, boxes_b = (fit_boxes(found.boxes, size, line) for found in (comparison.a, comparison.b))
    # Disagreements matter most: they are drawn last, over the rest, and their labels are placed first.
    _outline(drawn, boxes_a[[pair.a for pair in comparison.matched]], _BOTH, line)
    _outline(drawn, boxes_a[[*comparison.only_a, *(pair.a for pair in comparison.other_class)]], _A, line)
    _outline(drawn, boxes_b[[*comparison.only_b, *(pair.b for pair in comparison.other_class)]], _B, line)
    if style.labels:
        _write(drawn, list(_captions(comparison, boxes_a, boxes_b)), font_size)
    return _with_legend(drawn, comparison, names, line, font_size)


def _outline(image: Image.Image, rectangles: NDArray[np.int64], owner: int, width: int) -> None:
    if owner == _B:
        _draw_dashed(image, rectangles, _COLORS[owner], width)
    else:
        draw_boxes(image, rectangles, [_COLORS[owner]] * len(rectangles), width)


def _draw_dashed(image: Image.Image, rectangles: NDArray[np.int64], color: Color, width: int) -> None:
    """Draws dashed boxes, like `draw_boxes`; whatever lies below, such as a solid box at the same place, shows through the gaps."""
    draw = ImageDraw.Draw(image, "RGBA")
    halo = max(1, width // 4)
    for rectangle in rectangles[::-1].tolist():
        dashes = list(_dashes(rectangle, width))
        for left, top, right, bottom in dashes:
            draw.rectangle((left - halo, top - halo, right - 1 + halo, bottom - 1 + halo), fill=_HALO)
        for left, top, right, bottom in dashes:
            draw.rectangle((left, top, right - 1, bottom - 1), fill=color)


def _dashes(rectangle: list[int], width: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields parts of a rectangle's four lines, XYXY in whole pixels, lower right corner excluded. Corners are never in a gap."""
    left, top, right, bottom = rectangle
    for start, end in _parts(left, right, width):
        yield start, top, end, top + width
        yield start, bottom - width, end, bottom
    for start, end in _parts(top, bottom, width):
        yield left, start, left + width, end
        yield right - width, start, right, end


def _parts(start: int, end: int, width: int) -> list[tuple[int, int]]:
    dash, gap = _DASH * width, _GAP * width
    count = round((end - start + gap) / (dash + gap))
    if count < 2:
        return [(start, end)]
    return [(round(place), round(place) + dash) for place in np.linspace(start, end - dash, count)]


def _captions(comparison: Comparison, boxes_a: NDArray[np.int64], boxes_b: NDArray[np.int64]) -> Iterator[_Caption]:
    a, b = comparison.a, comparison.b
    for pair in comparison.other_class:
        long = [(_A, f"{a.names[pair.a]} {a.scores[pair.a]:.2f}"), (_B, f"{b.names[pair.b]} {b.scores[pair.b]:.2f}")]
        yield _Caption(boxes_a[pair.a], [long, [(_A, a.names[pair.a]), (_B, b.names[pair.b])]])
    for owner, found, boxes, indices in ((_A, a, boxes_a, comparison.only_a), (_B, b, boxes_b, comparison.only_b)):
        for index in indices:
            name = found.names[index]
            yield _Caption(boxes[index], [[(owner, f"{name} {found.scores[index]:.2f}")], [(owner, name)]])
    for pair in comparison.matched:
        name = a.names[pair.a]
        yield _Caption(boxes_a[pair.a], [[(_BOTH, f"{name} {a.scores[pair.a]:.2f} / {b.scores[pair.b]:.2f}")], [(_BOTH, name)]])


def _write(image: Image.Image, captions: Sequence[_Caption], font_size: float) -> None:
    sizes = [[_size(plates, font_size) for plates in caption.variants] for caption in captions]
    frame = (image.height, image.width)
    placements = place_labels([caption.rectangle for caption in captions], np.reshape(sizes, (-1, 2, 2)), frame)
    labels: list[Label] = []
    for caption, placement in zip(captions, placements, strict=True):
        if placement:
            labels += _side_by_side(caption.variants[placement.variant], placement.x, placement.y, font_size)
    draw_labels(image, labels, _COLORS, font_size)


def _size(plates: Iterable[_Plate], font_size: float) -> tuple[int, int]:
    sizes = [label_size(text, font_size) for _, text in plates]
    return sum(width for width, _ in sizes), sizes[0][1]


def _side_by_side(plates: Iterable[_Plate], x: int, y: int, font_size: float) -> Iterator[Label]:
    for owner, text in plates:
        width, height = label_size(text, font_size)
        yield Label(owner, text, x, y, x + width, y + height)
        x += width


def _with_legend(image: Image.Image, comparison: Comparison, names: tuple[str, str], line: int, font_size: float) -> Image.Image:
    """Adds a strip below the image for the legend, with as many rows as its entries need."""
    counts = comparison.counts()
    entries = [
        ((_A,), "only {}: " + str(counts["only_a"]), names[0]),
        ((_B,), "only {}: " + str(counts["only_b"]), names[1]),
        ((_BOTH,), f"both: {counts['matched']}", ""),
        ((_A, _B), f"same place, other class: {counts['other_class']}", ""),
    ]
    height = label_size("", font_size)[1]
    swatch, margin = 3 * height, height // 3
    x, y = margin, image.height + margin
    placed = []
    for owners, template, name in entries:
        text = _fitting(template, name, image.width - swatch - 2 * margin, font_size)
        width = swatch + label_size(text, font_size)[0]
        if x > margin and x + width + margin > image.width:
            x, y = margin, y + height + margin
        placed.append((owners, text, x, y))
        x += width + height
    result = Image.new("RGB", (image.width, y + height + margin), _LEGEND)
    result.paste(image)
    for owners, text, x, y in placed:
        for owner in owners:
            _outline(result, np.array([[x, y + height // 6, x + swatch, y + height - height // 6]]), owner, line)
        draw_labels(result, list(_side_by_side([(0, text)], x + swatch, y, font_size)), [_LEGEND], font_size)
    return result


def _fitting(template: str, name: str, width: int, font_size: float) -> str:
    """Returns the text with as much of the name as fits."""
    texts = (template.format(name if kept == len(name) else f"{name[:kept]}…") for kept in range(len(name), 0, -1))
    return next((text for text in texts if label_size(text, font_size)[0] <= width), template.format("…"))
