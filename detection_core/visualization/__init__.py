"""Drawing: pure functions from a picture and its detections to an annotated picture. No Gradio, no torch, no models."""

from detection_core.visualization.annotate import annotate
from detection_core.visualization.difference import draw_difference
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
from detection_core.visualization.style import ColorBy, Style

__all__ = [
    "COMPARISON",
    "EDGES",
    "PALETTE",
    "SIDE_COLORS",
    "SKELETON_CENTER",
    "SKELETON_LEFT",
    "SKELETON_RIGHT",
    "Color",
    "ColorBy",
    "Side",
    "Style",
    "annotate",
    "draw_difference",
    "from_hex",
    "identity_colors",
    "ink",
    "object_colors",
    "resolve_color_by",
    "side",
    "side_color",
    "to_hex",
]
