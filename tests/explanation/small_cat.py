"""An image whose cat is too small for the built-in model in the whole image, but not in slices of 128 pixels."""

from __future__ import annotations

from PIL import Image

from detection_core.models.catalog import ASSETS

# Of the three slices of the image, the one in which the cat lies.
TILE = (102, 0, 230, 128)


def small_cat() -> Image.Image:
    """Draws a cat of 44×29 pixels on gray, 332×128: the model finds it with a score of about 0.8, and below 0.2 in the whole image."""
    with Image.open(ASSETS / "examples" / "chelsea.jpg") as cat:
        small = cat.convert("RGB").resize((44, 29))
    image = Image.new("RGB", (332, 128), (118, 120, 116))
    image.paste(small, (140, 40))
    return image
