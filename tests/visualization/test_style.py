"""Tests that AnnotationStyle rejects invalid values and scales lines and text with the image."""

import math

import pytest

from detection_core.visualization import AnnotationStyle


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"opacity": 1.01}, "opacity", id="opacity above 1"),
        pytest.param({"opacity": -0.1}, "opacity", id="opacity below 0"),
        pytest.param({"opacity": math.nan}, "opacity", id="opacity not a number"),
        pytest.param({"scale": 0.4}, "scale", id="scale too small"),
        pytest.param({"scale": 2.5}, "scale", id="scale too large"),
        pytest.param({"keypoint_threshold": math.inf}, "keypoint_threshold", id="threshold infinite"),
        pytest.param({"color_by": "score"}, "auto, class, instance", id="unknown coloring"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        AnnotationStyle(**changes)


@pytest.mark.parametrize(
    ("image_size", "line", "font"),
    [
        pytest.param((240, 320), 2, 11, id="320 px: the smallest"),
        pytest.param((1080, 1920), 3.84, 28.8, id="1080p"),
        pytest.param((3840, 2160), 7.68, 57.6, id="4K upright: the longer side counts"),
        pytest.param((20000, 20000), 24, 160, id="20,000 px: the largest"),
    ],
)
def test_sizes_follow_the_image(image_size, line, font):
    assert AnnotationStyle().line_width(image_size) == pytest.approx(line)
    assert AnnotationStyle().font_size(image_size) == pytest.approx(font)
    assert AnnotationStyle(scale=0.5).line_width(image_size) == pytest.approx(line / 2)
    assert AnnotationStyle(scale=2).font_size(image_size) == pytest.approx(font * 2)
