"""What modules that draw detections receive: which layers there are, their initial state, and the colors of skeletons."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from detection_core.visualization import LAYERS, SIDE_COLORS, AnnotationStyle, to_hex

# CSS declarations.
SKELETON_COLORS = [f"--skeleton-{side}: {to_hex(color)};" for side, color in SIDE_COLORS.items()]


def drawing_constants() -> dict[str, Any]:
    """The layers with their titles, in the order of their buttons, and the style that a visitor has not changed."""
    style = asdict(AnnotationStyle())
    changeable = [*LAYERS, "opacity", "keypoint_threshold"]
    return {
        "layers": [{"name": name, "title": title} for name, title in LAYERS.items()],
        "style": {name: style[name] for name in changeable},
    }
