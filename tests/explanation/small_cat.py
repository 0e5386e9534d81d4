"""An image whose cat is too small for the built-in model in the whole image, but not in slices of 128 pixels."""

from __future__ import annotations

from PIL import Image

from detection_core.models.catalog import ASSETS

# Of the three slices of the image, the one in which the cat lies.
TILE = (102, 0, 230, 128)


def small_cat(scale: float = 1) -> Image.Image:
    """Draws a cat of 40×27 pixels on gray, 332×128: its score is above 0.6 in its slice, and below 0.1 in the whole image.

    Args:
        scale: Factor for larger slices.
    """
    with Image.open(ASSETS / "examples" / "chelsea.jpg") as cat:
        small = cat.convert("RGB").resize((round(40 * scale), round(27 * scale)))
    image = Image.new("RGB", (round(332 * scale), round(128 * scale)), (118, 120, 116))
    image.paste(small, (round(140 * scale), round(40 * scale)))
    return image
