"""Style: which layers an annotated image shows, and the size of its lines and text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

ColorBy = Literal["auto", "class", "instance"]
# What can be drawn of detections, each a field of `AnnotationStyle`, and what it is called on buttons, in their order.
LAYERS: Mapping[str, str] = {"boxes": "Boxes", "masks": "Masks", "contours": "Contours", "skeletons": "Skeletons", "labels": "Labels"}


@dataclass(frozen=True)
class AnnotationStyle:
    """The style in which detections are drawn. Lines and text scale with the image, so that 320 px and 4K are equally legible.

    Attributes:
        boxes: Whether boxes are drawn.
        masks: Whether masks are filled.
        contours: Whether masks are outlined.
        skeletons: Whether keypoints and limbs are drawn.
        labels: Whether class names and scores are written.
        opacity: Opacity of mask fills, 0–1.
        keypoint_threshold: A keypoint is drawn when its logit exceeds this; 2 as in the original Detectron.
        scale: Factor on the size of all lines and text, 0.5–2.
        color_by: Color by class, by instance, or whichever distinguishes the objects; see `resolve_color_by`.

    Raises:
        ValueError: If a value is out of range.
    """

    boxes: bool = True
    masks: bool = True
    contours: bool = True
    skeletons: bool = True
    labels: bool = True
    opacity: float = 0.4
    keypoint_threshold: float = 2.0
    scale: float = 1.0
    color_by: ColorBy = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must lie in 0–1, got {self.opacity}")
        if not 0.5 <= self.scale <= 2:
            raise ValueError(f"scale must lie in 0.5–2, got {self.scale}")
        if not math.isfinite(self.keypoint_threshold):
            raise ValueError(f"keypoint_threshold must be a finite logit, got {self.keypoint_threshold}")
        if self.color_by not in get_args(ColorBy):
            raise ValueError(f"color_by must be one of {', '.join(get_args(ColorBy))}; got {self.color_by!r}")

    def line_width(self, image_size: tuple[int, int]) -> float:
        """Returns the width of box and contour lines in pixels, for an image of `image_size` (height, width)."""
        return _clamp(2 * max(image_size) / 1000, 2, 24) * self.scale

    def font_size(self, image_size: tuple[int, int]) -> float:
        """Returns the size of label text in pixels, for an image of `image_size` (height, width)."""
        return _clamp(15 * max(image_size) / 1000, 11, 160) * self.scale


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))
