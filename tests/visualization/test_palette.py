"""Tests that colors are stable, distinguish objects and keep text readable."""

import pytest

from detection_core.visualization import COMPARISON, PALETTE, from_hex, identity_colors, ink, object_colors, resolve_color_by, to_hex
from detection_core.visualization.palette import BLACK, WHITE, contrast
from tests.factories import make_detections


@pytest.mark.parametrize(
    ("labels", "color_by", "expected"),
    [
        pytest.param([], "auto", "class", id="nothing"),
        pytest.param([1], "auto", "instance", id="one object"),
        pytest.param([1, 1], "auto", "instance", id="one class only"),
        pytest.param([1, 2], "auto", "class", id="two classes"),
        pytest.param([1, 1, 1, 2], "auto", "instance", id="three of four"),
        pytest.param([1, 1, 2], "auto", "class", id="two of three"),
        pytest.param([1] * 7 + [2] * 3, "auto", "class", id="exactly 70 %"),
        pytest.param([1, 1, 1], "class", "class", id="class as asked"),
        pytest.param([1, 2, 3], "instance", "instance", id="instance as asked"),
    ],
)
def test_auto_colors_by_whatever_distinguishes_objects(labels, color_by, expected):
    assert resolve_color_by(make_detections(len(labels), labels=labels), color_by) == expected


def test_class_colors_depend_on_nothing_but_the_class():
    detections = make_detections(4, labels=[3, 1, 2, 1])
    assert object_colors(detections, "class") == [PALETTE[3], PALETTE[1], PALETTE[2], PALETTE[1]]
    assert object_colors(detections[detections.labels == 1], "class") == [PALETTE[1], PALETTE[1]]


def test_instance_colors_survive_a_higher_threshold():
    detections = make_detections(12)
    colors = object_colors(detections, "instance")
    assert colors[:10] == list(PALETTE)
    assert colors[10] == PALETTE[0]
    assert object_colors(detections[detections.scores > 0.5], "instance") == colors[: (detections.scores > 0.5).sum()]


def test_hex_goes_there_and_back():
    assert to_hex(PALETTE[0]) == "#3f90da"
    assert [to_hex(color) for color in COMPARISON] == ["#0072b2", "#e69f00"]
    assert [from_hex(to_hex(color)) for color in PALETTE] == list(PALETTE)


@pytest.mark.parametrize("text", ["3f90da", "#3f90d", "#3f90dg", "#fff"])
def test_other_texts_are_no_colors(text):
    with pytest.raises(ValueError, match=r"#|hexadecimal"):
        from_hex(text)


def test_contrast_is_that_of_wcag():
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    # A pair that WCAG's own tools list as the first gray to pass on white.
    assert contrast(from_hex("#767676"), WHITE) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("color", [*PALETTE, *COMPARISON], ids=to_hex)
def test_ink_reads_on_every_color(color):
    assert contrast(ink(color), color) >= 4.5
    assert ink(BLACK) == WHITE
    assert ink(WHITE) == BLACK


def test_an_identity_keeps_its_color():
    assert identity_colors([3, 1, 13]) == [PALETTE[2], PALETTE[0], PALETTE[2]]
