"""Skeletons: keypoints and limbs, with different colors for the person's left and right."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from detection_core.detections import Detections
from detection_core.visualization.canvas import Canvas
from detection_core.visualization.palette import SKELETON_CENTER, SKELETON_LEFT, SKELETON_RIGHT, Color

# COCO's own 19 limbs ("skeleton" in person_keypoints_val2017.json), by the names of torchvision's `keypoint_names`.
EDGES: tuple[tuple[str, str], ...] = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_eye", "right_eye"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)

Side = Literal["left", "right", "center"]
SIDE_COLORS: dict[Side, Color] = {"left": SKELETON_LEFT, "right": SKELETON_RIGHT, "center": SKELETON_CENTER}

# A limb's width is at most this share of the person's longer side, so that small people stay recognizable.
_THICKEST = 1 / 40
_THINNEST = 1.0
# Width of limbs in box line widths, and radius of keypoints in limb widths: both must be visible on a filled mask of the same color.
_LIMB = 1.5
_KEYPOINT = 1.1


def side(*keypoints: str) -> Side:
    """Returns the person's side that a keypoint or limb is on, by the names of its keypoints; a limb that crosses is in the center."""
    left, right = (any(keypoint.startswith(prefix) for keypoint in keypoints) for prefix in ("left_", "right_"))
    if left == right:
        return "center"
    return "left" if left else "right"


def side_color(*keypoints: str) -> Color:
    """Returns the color of a keypoint or limb: blue on the person's left, orange on the right, light in the center."""
    return SIDE_COLORS[side(*keypoints)]


def draw_skeletons(image: Image.Image, detections: Detections, threshold: float, width: float) -> None:
    """Draws the keypoints whose logit exceeds `threshold`, and the limbs between them.

    Args:
        image: RGB image; it is changed in place.
        detections: Detections with keypoints; objects without any are skipped. Keypoints with other names than COCO's are drawn
            without limbs.
        threshold: Threshold on the logit.
        width: Width of the boxes' lines in pixels; limbs are a little thicker, or thinner on small people.
    """
    assert detections.keypoints is not None
    assert detections.keypoint_scores is not None
    shown = (detections.keypoint_scores > threshold) & detections.has_keypoints[:, None]
    longer_sides = (detections.boxes[:, 2:] - detections.boxes[:, :2]).max(axis=1, initial=0)
    canvas = Canvas(image.size)
    # The object with the best score is drawn last, on top.
    for index in reversed(range(len(detections))):
        points = detections.keypoints[index].tolist()
        keypoints = {name: (x, y) for name, (x, y), seen in zip(detections.keypoint_names, points, shown[index], strict=True) if seen}
        _draw_skeleton(canvas, keypoints, min(_LIMB * width, max(_THINNEST, float(longer_sides[index]) * _THICKEST)))
    canvas.put_on(image)


def _draw_skeleton(canvas: Canvas, keypoints: dict[str, tuple[float, float]], width: float) -> None:
    limbs = [edge for edge in EDGES if edge[0] in keypoints and edge[1] in keypoints]
    for start, end in limbs:
        canvas.halo([keypoints[start], keypoints[end]], width)
    for start, end in limbs:
        canvas.line([keypoints[start], keypoints[end]], width, side_color(start, end))
    for name, center in keypoints.items():
        canvas.dot(center, _KEYPOINT * width, side_color(name))
