"""A kept result drawn as its visitor sees it, at full resolution."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detection_core.ui.components.detection_view import ViewSettings
from detection_core.ui.session import KeptResult
from detection_core.ui.uploads import read_upload
from detection_core.visualization import Style, annotate, object_colors


def draw(kept: KeptResult, settings: ViewSettings) -> Image.Image:
    """Draws what the visitor sees.

    Args:
        kept: Picture and detections.
        settings: Threshold, classes, layers and opacities of the view.

    Raises:
        ImageError: If the picture is no longer there.
    """
    visible = settings.visible(kept.detections)
    # Colours come from the whole result, as in the browser: they stay when the threshold moves.
    colors = object_colors(kept.detections, "auto")
    style = Style(
        boxes=settings.boxes,
        masks=settings.masks,
        contours=settings.contours,
        skeletons=settings.skeletons,
        labels=settings.labels,
        opacity=settings.opacity,
        joint_threshold=settings.joint_threshold,
    )
    indices = np.flatnonzero(visible)
    return annotate(
        read_upload(kept.image_path).image,
        kept.detections[visible],
        style,
        colors=[colors[index] for index in indices],
        # Numbers too: the table beside the picture explains them.
        numbers=[int(index) + 1 for index in indices],
    )
