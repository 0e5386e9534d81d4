"""Tests that skeletons show keypoints above the threshold, the limbs between them, and the person's left side."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detection_core.visualization import EDGES, SKELETON_CENTER, SKELETON_LEFT, SKELETON_RIGHT, side_color
from detection_core.visualization.skeleton import draw_skeletons
from tests.factories import COCO_KEYPOINT_NAMES, make_detections


def person(shown=COCO_KEYPOINT_NAMES, **changes):
    detections = make_detections(1, image_size=(400, 400), keypoints=True)
    scores = np.array([[8.0 if name in shown else 1.9 for name in COCO_KEYPOINT_NAMES]], np.float32)
    return replace(detections, keypoint_scores=scores, **changes)


def draw(detections, threshold=2.0):
    image = Image.new("RGB", (400, 400))
    draw_skeletons(image, detections, threshold, 2)
    return image


def at(detections, *names):
    """The pixel in the middle of the named keypoints."""
    points = [detections.keypoints[0, COCO_KEYPOINT_NAMES.index(name)] for name in names]
    return tuple(int(v) for v in np.mean(points, axis=0))


def test_edges_are_cocos_19_with_trunk_and_known_keypoints():
    assert len(set(EDGES)) == 19
    assert {("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"), ("left_hip", "right_hip")} <= set(EDGES)
    assert {keypoint for edge in EDGES for keypoint in edge} == set(COCO_KEYPOINT_NAMES)


@pytest.mark.parametrize(
    ("keypoints", "color"),
    [
        (("left_knee",), SKELETON_LEFT),
        (("right_knee",), SKELETON_RIGHT),
        (("nose",), SKELETON_CENTER),
        (("nose", "left_eye"), SKELETON_LEFT),
        (("left_hip", "right_hip"), SKELETON_CENTER),
        (("right_ear", "right_shoulder"), SKELETON_RIGHT),
    ],
    ids=str,
)
def test_sides_have_colors(keypoints, color):
    assert side_color(*keypoints) == color


@pytest.mark.parametrize(
    ("keypoints", "color"),
    [
        (("left_hip", "left_knee"), SKELETON_LEFT),
        (("right_hip", "right_knee"), SKELETON_RIGHT),
        (("left_hip", "right_hip"), SKELETON_CENTER),
    ],
    ids=str,
)
def test_limbs_are_drawn_in_the_color_of_their_side(keypoints, color):
    image = draw(detections := person(shown=keypoints))
    assert image.getpixel(at(detections, *keypoints)) == color


def test_a_limb_needs_both_of_its_ends():
    image = draw(detections := person(shown=["left_knee"]))
    assert image.getpixel(at(detections, "left_knee")) == SKELETON_LEFT
    assert image.getpixel(at(detections, "left_knee", "left_hip")) == (0, 0, 0)


@pytest.mark.parametrize(("threshold", "drawn"), [(1.8, True), (1.9, False), (2.0, False)])
def test_keypoints_must_exceed_the_threshold(threshold, drawn):
    image = draw(person(shown=[]), float(np.float32(threshold)))
    assert (image.getbbox() is not None) == drawn


@pytest.mark.parametrize("threshold", [2.0, -1000.0])
def test_objects_without_keypoints_are_left_out(threshold):
    detections = person()
    nowhere = np.full_like(detections.keypoints, np.nan)
    assert draw(detections, threshold).getbbox() is not None
    assert draw(replace(detections, keypoints=nowhere, keypoint_scores=nowhere[..., 0]), threshold).getbbox() is None


def test_unknown_keypoints_are_drawn_without_limbs():
    names = tuple(f"left_{i}" for i in range(17))
    image = draw(detections := person(keypoint_names=names))
    assert image.getpixel(at(detections, "left_knee")) == SKELETON_LEFT
    assert image.getpixel(at(detections, "left_knee", "left_hip")) == (0, 0, 0)


def test_small_people_get_thin_limbs():
    detections = person()
    corner = detections.boxes[0, :2]
    # The same keypoints in a small box: only the thickness may differ.
    small = replace(detections, boxes=np.tile(corner, 2)[None] + np.float32([0, 0, 8, 20]))
    ink = [np.count_nonzero(np.asarray(draw(d)).any(axis=2)) for d in (detections, small)]
    assert ink[1] < 0.75 * ink[0]
