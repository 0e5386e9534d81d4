"""Drawing: pure functions from an image and its detections to an annotated image. No Gradio, no torch, no models."""

from detection_core.visualization.annotate import annotate
from detection_core.visualization.difference import annotate_comparison
from detection_core.visualization.palette import (
    COMPARISON,
    PALETTE,
    SKELETON_CENTER,
    SKELETON_LEFT,
    SKELETON_RIGHT,
    Color,
    from_hex,
    identity_colors,
    ink,
    object_colors,
    resolve_color_by,
    to_hex,
)
from detection_core.visualization.skeleton import EDGES, SIDE_COLORS, Side, side, side_color
from detection_core.visualization.style import LAYERS, AnnotationStyle, ColorBy

__all__ = [
    "COMPARISON",
    "EDGES",
    "LAYERS",
    "PALETTE",
    "SIDE_COLORS",
    "SKELETON_CENTER",
    "SKELETON_LEFT",
    "SKELETON_RIGHT",
    "AnnotationStyle",
    "Color",
    "ColorBy",
    "Side",
    "annotate",
    "annotate_comparison",
    "from_hex",
    "identity_colors",
    "ink",
    "object_colors",
    "resolve_color_by",
    "side",
    "side_color",
    "to_hex",
]
