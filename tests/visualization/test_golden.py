"""Compares drawings with golden images; update them with `python -m tests.visualization.test_golden --write`, then check them by eye."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.visualization import AnnotationStyle, annotate
from tests.factories import make_detections

GOLDEN = Path(__file__).parent / "golden"
CATEGORIES = ("__background__", "person", "dog", "car", "traffic light")

# name: image size (height, width), objects, style. What is compared is at most this large.
CASES = {
    "320": ((240, 320), 4, AnnotationStyle()),
    "vga": ((480, 640), 5, AnnotationStyle()),
    "vga_instances": ((480, 640), 4, AnnotationStyle(color_by="instance", boxes=False, opacity=0.6, scale=1.5)),
    "4k": ((2160, 3840), 6, AnnotationStyle()),
}
_LARGEST = 640
# Mean difference of 8-bit values: fonts and rasterisers round differently from release to release, a missing label costs more.
_TOLERANCE = 0.6


def backdrop(image_size):
    """An image with light and dark, calm and busy parts, in few flat colors so that the files stay small."""
    height, width = image_size
    y, x = np.mgrid[0:height, 0:width] / max(image_size)
    tones = np.array([[25, 30, 60], [90, 120, 90], [170, 150, 120], [235, 235, 225]], np.uint8)
    slope = 4 * x + 0.3 * np.sin(20 * y)
    stripes = (np.floor(24 * x) % 2 == 0) & (y > 0.45)
    return Image.fromarray(tones[np.clip(slope, 0, 3).astype(int)] ^ np.uint8(40) * stripes[..., None])


def scene(image_size, count):
    """Objects with masks and skeletons, one of them with a hole, one partly outside, one tiny."""
    detections = make_detections(count, image_size=image_size, masks=True, keypoints=True, categories=CATEGORIES, seed=4)
    masks, boxes, scores = detections.masks.copy(), detections.boxes.copy(), detections.keypoint_scores.copy()
    masks[1, 10:18, 10:18] = 0
    boxes[2] += np.float32(image_size[1] / 4) * np.array([1, 0, 1, 0], np.float32)
    boxes[3, 2:] = boxes[3, :2] + 1
    scores[detections.labels != 1] = -1
    return replace(detections, masks=masks, boxes=boxes, keypoint_scores=scores)


def render(name):
    image_size, count, style = CASES[name]
    image = annotate(backdrop(image_size), scene(image_size, count), style)
    factor = math.ceil(max(image_size) / _LARGEST)
    return image.reduce(factor)


@pytest.mark.parametrize("name", CASES)
def test_drawing_looks_as_it_did(name):
    with Image.open(GOLDEN / f"{name}.png") as golden:
        expected = np.asarray(golden.convert("RGB"), int)
    difference = np.abs(np.asarray(render(name), int) - expected)
    assert difference.mean() < _TOLERANCE, "check the new image by eye; if it is right, run this module with --write"


def test_tolerance_notices_a_missing_layer():
    image_size, count, style = CASES["vga"]
    whole, image = np.asarray(render("vga"), int), backdrop(image_size)
    for layer in ("boxes", "masks", "contours", "skeletons", "labels"):
        without = np.asarray(annotate(image, scene(image_size, count), replace(style, **{layer: False})), int)
        assert np.abs(without - whole).mean() > _TOLERANCE, layer


if __name__ == "__main__" and "--write" in sys.argv:
    GOLDEN.mkdir(exist_ok=True)
    for case in CASES:
        render(case).save(GOLDEN / f"{case}.png", optimize=True)
