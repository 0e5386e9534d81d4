"""Tests that boxes stay inside the image and visible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detection_core.visualization.boxes import draw_boxes, fit_boxes

RED = (255, 0, 0)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([10, 20, 50, 60], [9, 19, 51, 61], id="a line of 2 on both edges"),
        pytest.param([-30, 20, 50, 600], [0, 19, 51, 100], id="partly outside"),
        pytest.param([0, 0, 200, 100], [0, 0, 200, 100], id="the whole image"),
        pytest.param([100.4, 50.4, 100.5, 50.5], [98, 48, 104, 54], id="below one pixel"),
        pytest.param([199.9, 99.9, 200, 100], [194, 94, 200, 100], id="a speck in the corner"),
        pytest.param([-1e9, 40, 1e9, 60], [0, 39, 200, 61], id="endless"),
    ],
)
def test_rectangles_cover_the_line(box, expected):
    assert fit_boxes(np.array([box], np.float32), (100, 200), 2).tolist() == [expected]


@settings(deadline=None)
@given(
    box=st.tuples(*[st.floats(-500, 900, width=32)] * 4).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    width=st.integers(1, 24),
)
def test_rectangles_lie_in_the_image_and_are_large_enough(box, size, width):
    left, top, right, bottom = fit_boxes(np.array([box], np.float32), size, width)[0]
    assert 0 <= left < right <= size[1]
    assert 0 <= top < bottom <= size[0]
    assert right - left >= min(3 * width, size[1])
    assert bottom - top >= min(3 * width, size[0])


def test_line_is_crisp_with_a_dark_rim_and_leaves_the_inside_alone():
    image = Image.new("RGB", (100, 100), (200, 200, 200))
    draw_boxes(image, np.array([[20, 20, 80, 80]]), [RED], 3)
    row = [image.getpixel((x, 50)) for x in range(17, 26)]
    assert row[0:2] == [(200, 200, 200)] * 2
    assert row[2][0] < 120
    assert row[3:6] == [RED] * 3
    assert row[6][0] < 120
    assert row[7:] == [(200, 200, 200)] * 2


def test_best_score_lies_on_top():
    image = Image.new("RGB", (60, 60))
    draw_boxes(image, np.array([[10, 10, 50, 50]] * 2), [RED, (0, 0, 255)], 2)
    assert image.getpixel((10, 30)) == RED
