"""Tests that the difference image distinguishes the groups, shows counts in its legend and does not change the input."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.detections.comparison import compare
from detection_core.visualization import COMPARISON, AnnotationStyle, annotate_comparison
from tests.factories import make_detections

BLUE, ORANGE = COMPARISON
AGREED = (230, 230, 230)
GREEN = (40, 120, 60)
NAMES = ("__background__", "person", "dog")
UNLABELED = AnnotationStyle(labels=False)
BOX = (40, 30, 140, 90)


def found(*objects, image_size=(120, 200)):
    """Detections of (label, x0, y0, x1, y1) each."""
    boxes = np.array([box for _, *box in objects], np.float32).reshape(-1, 4)
    return Detections(boxes, [label for label, *_ in objects], np.full(len(objects), 0.5), image_size, NAMES)


def draw(a, b, **options):
    height, width = a.image_size
    return annotate_comparison(Image.new("RGB", (width, height), GREEN), compare(a, b), **options)


def colors_along(image, box, color):
    """How much of a box's upper line, one pixel inside it, has a color: 0–1."""
    x0, y0, x1, _ = box
    row = np.asarray(image)[y0, x0:x1]
    return (row == color).all(axis=1).mean()


@pytest.mark.parametrize(
    ("a", "b", "blue", "orange", "gray"),
    [
        pytest.param([(1, *BOX)], [], 1, 0, 0, id="only A: solid blue"),
        pytest.param([], [(1, *BOX)], 0, 0.58, 0, id="only B: dashed orange"),
        pytest.param([(1, *BOX)], [(1, *BOX)], 0, 0, 1, id="matched: gray"),
        pytest.param([(1, *BOX)], [(2, *BOX)], 0.28, 0.58, 0, id="other class: blue between orange dashes"),
        pytest.param([], [], 0, 0, 0, id="nothing"),
    ],
)
def test_each_group_has_its_look(a, b, blue, orange, gray):
    image = draw(found(*a), found(*b), style=UNLABELED)
    shares = [colors_along(image, BOX, color) for color in (BLUE, ORANGE, AGREED)]
    assert shares == pytest.approx([blue, orange, gray], abs=0.05)


@pytest.mark.parametrize(("a", "b"), [([(1, *BOX)], []), ([], [(1, *BOX)])], ids=["solid", "dashed"])
def test_lines_have_a_dark_rim(a, b):
    pixels = np.asarray(draw(found(*a), found(*b), style=UNLABELED))
    assert (pixels[BOX[1] - 1, BOX[0]] == (BLUE if a else ORANGE)).all()
    assert (pixels[BOX[1] - 2, BOX[0]] < GREEN).all()
    assert (pixels[BOX[1] - 3, BOX[0]] == GREEN).all()


def test_the_box_of_a_match_is_that_of_a():
    image = draw(found((1, *BOX)), found((1, 40, 36, 140, 90)), style=UNLABELED)
    assert colors_along(image, BOX, AGREED) == 1
    assert colors_along(image, (60, 36, 120, 90), GREEN) == 1


def test_differences_lie_over_matches():
    a, b = found((1, *BOX)), found((1, *BOX), (2, *BOX))
    assert colors_along(draw(a, b, style=UNLABELED), BOX, ORANGE) > 0.5


@pytest.mark.parametrize(
    ("a", "b", "plates"),
    [
        pytest.param([(1, *BOX)], [], {BLUE}, id="only A"),
        pytest.param([], [(1, *BOX)], {ORANGE}, id="only B"),
        pytest.param([(1, *BOX)], [(1, *BOX)], {AGREED}, id="matched"),
        pytest.param([(1, *BOX)], [(2, *BOX)], {BLUE, ORANGE}, id="other class, both names"),
    ],
)
def test_labels_have_the_colors_of_the_models(a, b, plates):
    labeled, plain = (np.asarray(draw(found(*a), found(*b), style=AnnotationStyle(labels=labels))) for labels in (True, False))
    # Above the box, where only labels are.
    above = (slice(0, BOX[1] - 4), slice(None))
    assert (plain[above] == GREEN).all()
    assert {color for color in (BLUE, ORANGE, AGREED) if (labeled[above] == color).all(axis=-1).sum() > 50} == plates


def test_the_image_itself_is_left_alone_and_the_legend_is_below():
    a, b = make_detections(5, seed=1), make_detections(5, seed=2)
    before = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    image = Image.fromarray(before)
    drawn = annotate_comparison(image, compare(a, b))
    assert np.array_equal(image, before)
    assert np.array_equal(drawn, annotate_comparison(before, compare(a, b)))
    assert drawn.mode == "RGB"
    assert drawn.width == 640
    assert 480 < drawn.height < 560
    nothing = annotate_comparison(image, compare(a[:0], b[:0]))
    assert np.array_equal(np.asarray(nothing)[:480], before)
    assert nothing.height == drawn.height
    assert not np.array_equal(np.asarray(nothing)[480:], np.asarray(drawn)[480:])


@pytest.mark.parametrize("size", [(1, 1), (30, 8), (8, 3000), (400, 90)], ids=str)
def test_images_of_any_shape(size):
    a, b = make_detections(3, image_size=size, seed=1), make_detections(3, image_size=size, seed=2)
    drawn = draw(a, b, names=("a model with a very long name indeed", ""))
    assert drawn.width == size[1]
    assert drawn.height > size[0]


def test_a_long_name_is_shortened_rather_than_its_count_cut_off():
    a, b = found((1, *BOX)), found()
    long, short = (np.asarray(draw(a, b, names=(name, "B"))) for name in ("m" * 60, "m" * 100))
    assert np.array_equal(long, short)
    assert long.shape == np.asarray(draw(a, b, names=("m" * 12, "B"))).shape


def test_lines_grow_with_the_image():
    size = (1000, 3000)
    image = np.asarray(draw(found((1, 500, 300, 2000, 800), image_size=size), found(image_size=size), style=UNLABELED))
    assert (image[280:320, 1000] == BLUE).all(axis=1).sum() == 6


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="100×100 pixels but the detections are for 200×120"):
        annotate_comparison(Image.new("RGB", (100, 100)), compare(found(), found()))
