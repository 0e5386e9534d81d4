"""Colors: the palette, the choice of an object's color, and the text color that contrasts with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Literal

from detection_core.detections import Detections
from detection_core.visualization.style import ColorBy

Color = tuple[int, int, int]


def from_hex(text: str) -> Color:
    """Parses a color such as "#3f90da".

    Raises:
        ValueError: If `text` is not # and six hexadecimal digits.
    """
    if len(text) != 7 or text[0] != "#":
        raise ValueError(f"a color is written like #3f90da, got {text!r}")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def to_hex(color: Color) -> str:
    """Formats a color for CSS, such as "#3f90da"."""
    return "#{:02x}{:02x}{:02x}".format(*color)


# Petroff 2021, "Accessible Color Sequences for Data Visualization", arXiv:2107.02270: ten colors optimized to be distinguishable
# under every kind of color blindness.
PALETTE: tuple[Color, ...] = tuple(
    from_hex(code)
    for code in ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
)

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)

# Two models side by side: the blue and the orange of Okabe and Ito 2008, "Color Universal Design".
COMPARISON: tuple[Color, Color] = (from_hex("#0072b2"), from_hex("#e69f00"))

SKELETON_LEFT: Color = from_hex("#3f9cff")
SKELETON_RIGHT: Color = from_hex("#ff8a1f")
SKELETON_CENTER: Color = from_hex("#f2f2f2")

_DOMINANT_SHARE = 0.7
_DOMINANT_FROM = 3


def resolve_color_by(detections: Detections, color_by: ColorBy) -> Literal["class", "instance"]:
    """Decides whether colors stand for classes or for instances.

    "auto" means by instance when all objects are of one class, or one class has more than 70 % of at least three objects: class colors
    would then distinguish nothing. Filtering may change the answer, so resolve it once on the whole result and keep it.

    Args:
        detections: The objects.
        color_by: The requested mode; "class" and "instance" are returned as they are.
    """
    if color_by != "auto":
        return color_by
    largest = max(Counter(detections.labels.tolist()).values(), default=0)
    dominates = len(detections) >= _DOMINANT_FROM and largest > _DOMINANT_SHARE * len(detections)
    return "instance" if dominates or (largest and largest == len(detections)) else "class"


def object_colors(detections: Detections, color_by: ColorBy) -> list[Color]:
    """Returns each object's color from `PALETTE`, by its class id or by its rank among `detections`."""
    by_class = resolve_color_by(detections, color_by) == "class"
    keys = detections.labels.tolist() if by_class else range(len(detections))
    return [PALETTE[key % len(PALETTE)] for key in keys]


def identity_colors(ids: Iterable[int]) -> list[Color]:
    """Returns a color for each track id, the same in all frames."""
    return [PALETTE[(int(identity) - 1) % len(PALETTE)] for identity in ids]


@cache
def ink(background: Color) -> Color:
    """Returns black or white, whichever has more contrast with `background` by WCAG 2.2."""
    return max(BLACK, WHITE, key=lambda color: contrast(color, background))


def contrast(first: Color, second: Color) -> float:
    """Returns the contrast ratio of two colors by WCAG 2.2, 1–21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (channel / 255 for channel in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
