"""Tests that labels are inside the image, do not overlap and are legible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detection_core.visualization.labels import Label, Placement, draw_labels, lay_out_labels, place_labels
from tests.factories import make_detections

SIZE = (100, 200)
LABEL = [[60, 10], [12, 10]]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([[50, 40, 150, 90]], [(50, 30, 0)], id="above"),
        pytest.param([[50, 5, 150, 90]], [(50, 5, 0)], id="no room above: inside"),
        pytest.param([[50, 5, 90, 30]], [(50, 30, 0)], id="too narrow inside: below"),
        pytest.param([[170, 40, 190, 60]], [(140, 30, 0)], id="shifted into the image"),
        pytest.param([[-50, -50, 300, 300]], [(0, 0, 0)], id="box larger than the image"),
        pytest.param([[50, 40, 150, 90]] * 2, [(50, 30, 0), (50, 40, 0)], id="above taken: inside"),
        pytest.param([], [], id="none"),
    ],
)
def test_first_free_place_is_taken(boxes, expected):
    assert place_labels(boxes, [LABEL] * len(boxes), SIZE) == expected


def test_when_places_run_out_numbers_come_and_then_nothing():
    placements = place_labels([[80, 40, 100, 60]] * 12, [[[60, 30], [12, 10]]] * 12, SIZE)
    assert placements[0] == Placement(80, 10, 0)
    variants = [placement.variant for placement in placements if placement]
    assert variants == sorted(variants)
    assert set(variants) == {0, 1}
    assert placements[-1] is None


def test_a_label_wider_than_the_image_becomes_a_number():
    assert place_labels([[10, 40, 50, 60]], [[[300, 10], [12, 10]]], SIZE) == [Placement(10, 30, 1)]


coordinates = st.floats(-100, 500)
boxes_and_sizes = st.lists(
    st.tuples(st.tuples(*[coordinates] * 4), st.tuples(st.integers(1, 150), st.integers(1, 60), st.integers(1, 30), st.integers(1, 60))),
    max_size=30,
)


@settings(deadline=None)
@given(items=boxes_and_sizes, image_size=st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_labels_lie_in_the_image_and_never_overlap(items, image_size):
    boxes = [(min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])) for b, _ in items]
    sizes = [[s[:2], s[2:]] for _, s in items]
    placements = place_labels(boxes, sizes, image_size)
    assert len(placements) == len(items)
    covered = np.zeros(image_size, int)
    for placement, variants in zip(placements, sizes, strict=True):
        if placement:
            width, height = variants[placement.variant]
            assert 0 <= placement.x <= image_size[1] - width
            assert 0 <= placement.y <= image_size[0] - height
            covered[placement.y : placement.y + height, placement.x : placement.x + width] += 1
    assert covered.max() <= 1


def test_texts_are_name_and_score_or_the_rank_where_there_is_no_room():
    detections = make_detections(40, image_size=(120, 160))
    rectangles = np.tile([40, 40, 100, 80], (40, 1))
    labels = lay_out_labels(detections, rectangles, 11, range(1, 41))
    assert labels[0].text == "person 0.95"
    numbers = [label for label in labels if label.text.isdigit()]
    assert numbers
    assert all(int(label.text) == label.owner + 1 for label in numbers)


def test_identities_are_always_given():
    found = make_detections(2, image_size=(400, 800))
    labels = lay_out_labels(found, [[10, 100, 300, 300], [400, 100, 700, 300]], 12, [7, 12], numbered=True)
    assert [label.text for label in labels] == ["person #7 0.95", "dog #12 0.10"]


@pytest.mark.parametrize(("plate", "ink"), [((255, 255, 0), (0, 0, 0)), ((0, 0, 120), (255, 255, 255))], ids=["bright", "dark"])
@pytest.mark.parametrize("font_size", [11, 57.6])
def test_text_fits_its_plate_and_contrasts(plate, ink, font_size):
    image = Image.new("RGB", (800, 200), (128, 128, 128))
    label = lay_out_labels(make_detections(1, image_size=(200, 800)), [[10, 100, 700, 190]], font_size, [1])[0]
    draw_labels(image, [label], [plate], font_size)
    pixels = np.asarray(image)
    outside = np.ones((200, 800), bool)
    outside[label.top : label.bottom, label.left : label.right] = False
    assert (pixels[outside] == 128).all()
    written = (np.abs(pixels.astype(int) - ink).sum(axis=2) < 60) & ~outside
    columns = np.flatnonzero(written.any(axis=0))
    assert columns.min() - label.left >= 2
    assert label.right - 1 - columns.max() >= 2


def test_other_alphabets_are_written():
    image = Image.new("RGB", (300, 40))
    draw_labels(image, [Label(0, "собака ζώο 0.50", 0, 0, 300, 30)], [(255, 255, 255)], 20)
    twin = Image.new("RGB", (300, 40))
    draw_labels(twin, [Label(0, "\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe \ufffe\ufffe\ufffe 0.50", 0, 0, 300, 30)], [(255, 255, 255)], 20)
    assert image.tobytes() != twin.tobytes()
