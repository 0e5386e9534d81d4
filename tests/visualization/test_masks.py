"""Tests that fills are blended once and cover exactly the masks."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detection_core.visualization.masks import blend_fills, draw_contours, largest_first
from tests.factories import make_detections

GRAY = (120, 120, 120)
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def nested(sizes, image_size=(200, 200)):
    """Blobs around the same middle."""
    detections = make_detections(len(sizes), image_size=image_size, masks=True)
    boxes = np.array([[100 - s, 100 - s, 100 + s, 100 + s] for s in sizes], np.float32)
    return replace(detections, boxes=boxes)


def fill(detections, opacity=0.4, colors=COLORS):
    image = Image.new("RGB", detections.image_size[::-1], GRAY)
    polygons = [detections.polygons(i) for i in range(len(detections))]
    return blend_fills(image, detections, polygons, colors, opacity)


def blended(color, opacity=0.4):
    return tuple(round(g + opacity * (c - g)) for g, c in zip(GRAY, color, strict=True))


@pytest.mark.parametrize("sizes", [(80, 50, 20), (20, 80, 50), (50, 20, 80)], ids=str)
def test_where_masks_overlap_the_smallest_ones_color_is_blended_once(sizes):
    pixel = fill(nested(sizes)).getpixel((100, 100))
    assert pixel == pytest.approx(blended(COLORS[sizes.index(20)]), abs=1)


def test_a_hundred_overlapping_masks_are_no_darker_than_one():
    detections = nested([50] * 100)
    assert fill(detections, colors=[COLORS[0]] * 100).tobytes() == fill(detections[:1]).tobytes()


def test_fill_covers_the_pixels_of_the_mask():
    detections = make_detections(1, image_size=(300, 400), masks=True, seed=3)
    crop, (x, y) = detections.mask(0)
    expected = np.zeros((300, 400), bool)
    expected[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    changed = np.any(np.asarray(fill(detections)) != GRAY, axis=2)
    # Pillow fills every pixel that the polygon's edge touches, a few more than the mask has.
    assert (expected & ~changed).sum() < 0.005 * expected.sum()
    assert (changed & ~expected).sum() < 0.03 * expected.sum()


def test_holes_stay_open():
    detections = nested([80])
    grid = np.hypot(*np.meshgrid(np.linspace(-1, 1, 28), np.linspace(-1, 1, 28)))
    ring = replace(detections, masks=((grid < 0.9) & (grid > 0.4)).astype(np.float32)[None])
    image = fill(ring)
    assert image.getpixel((100, 100)) == GRAY
    assert image.getpixel((100, 50)) != GRAY


def test_no_opacity_changes_nothing():
    assert fill(nested([50]), opacity=0).getcolors() == [(200 * 200, GRAY)]


def test_masks_below_one_half_everywhere_draw_nothing():
    detections = nested([50])
    faint = replace(detections, masks=np.full((1, 28, 28), 0.4, np.float32))
    assert fill(faint).getcolors() == [(200 * 200, GRAY)]


def test_area_of_the_mask_orders_not_that_of_the_box():
    detections = nested([40, 50])
    masks = detections.masks.copy()
    masks[1, :, :20] = 0
    assert largest_first(replace(detections, masks=masks)) == [0, 1]


@pytest.mark.parametrize("image_size", [(200, 200), (1300, 1300)], ids=["antialiased", "large and fast"])
def test_contour_is_opaque_on_the_outline_with_a_dark_rim(image_size):
    detections = replace(nested([80]), image_size=image_size)
    polygons = [detections.polygons(0)]
    image = Image.new("RGB", image_size[::-1], GRAY)
    draw_contours(image, detections, polygons, COLORS, 4)
    left = polygons[0][0][polygons[0][0][:, 0].argmin()]
    x, y = round(float(left[0])), round(float(left[1]))
    row = [image.getpixel((x + dx, y)) for dx in range(-8, 9)]
    assert COLORS[0] in row
    assert min(sum(pixel) for pixel in row if pixel != COLORS[0]) < sum(GRAY) * 0.75
    assert row[0] == row[-1] == GRAY
    assert image.getpixel((100, 100)) == GRAY
