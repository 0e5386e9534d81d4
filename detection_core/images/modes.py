"""Converts every pixel mode of Pillow to 8-bit RGB, and reads an image's orientation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# EXIF 2.32, tag 0x0112: the transformation that turns the stored image upright.
_ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Returns a new 8-bit RGB image without metadata except its color profile, and notes for the user.

    Transparency is put on white. 16-bit gray is divided by 257, or by less if no value exceeds what 8, 10, 12 or 14 bits hold, as in
    scientific and medical images. 32-bit integers and floats are stretched from their smallest and largest finite value to 0–255;
    NaN becomes black.

    Args:
        image: Any mode that Pillow can convert; it is decoded here if necessary.

    Raises:
        ValueError: If Pillow cannot convert the mode.
        OSError: If decoding fails.
    """
    if image.mode.startswith("I;16"):
        return _from_16_bits(np.asarray(image))
    if image.mode in {"I", "F"}:
        return _from_32_bits(np.asarray(image))
    if image.has_transparency_data:
        rgb, notes = _on_white(image.convert("RGBA"))
    else:
        rgb = image.convert("RGB")
        notes = ["Print colors (CMYK) were converted to RGB."] if image.mode == "CMYK" else []
    return with_profile(rgb, image.info if image.mode in {"RGB", "RGBA", "P", "PA"} else {}), notes


def with_profile(rgb: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """Replaces all metadata of `rgb` with the RGB color profile in `info`, if there is one, and returns the image."""
    profile = info.get("icc_profile")
    # ICC.1:2022, bytes 16–19 of the header: the profile's color space.
    rgb.info = {"icc_profile": profile} if isinstance(profile, bytes) and profile[16:20] == b"RGB " else {}
    return rgb


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation 1–8; 1 if there is none or it is invalid.

    It ignores XMP, as browsers do, and TIFF's orientation tag, which Pillow applies itself.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except Exception:  # Broken metadata is no reason to refuse a good image.
        return 1
    return orientation if orientation in UPRIGHT else 1


def _on_white(rgba: Image.Image) -> tuple[Image.Image, list[str]]:
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB"), []
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=alpha)
    return white, ["Transparent parts were put on white."]


def _from_16_bits(values: NDArray[np.uint16]) -> tuple[Image.Image, list[str]]:
    largest = int(values.max())
    bits = next(bits for bits in (8, 10, 12, 14, 16) if largest < 2**bits)
    table = np.rint(np.arange(2**bits) * (255 / (2**bits - 1))).astype(np.uint8)
    why = "" if bits == 16 else f" as if it had {bits}, because no value exceeds {largest}"
    return Image.fromarray(table[values]).convert("RGB"), [f"16-bit image scaled to 8 bits{why}."]


def _from_32_bits(pixels: NDArray[Any]) -> tuple[Image.Image, list[str]]:
    values = pixels.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return Image.new("RGB", values.shape[::-1]), ["32-bit image without a finite value: shown black."]
    low = float(np.min(values, where=finite, initial=np.inf))
    high = float(np.max(values, where=finite, initial=-np.inf))
    with np.errstate(all="ignore"):  # Infinities and NaN are replaced below.
        values -= low
        values *= 255 / (high - low) if high > low else 0.0
    np.nan_to_num(values, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    gray = Image.fromarray(np.rint(values).astype(np.uint8))
    return gray.convert("RGB"), [f"32-bit image: values from {low:g} to {high:g} scaled to 0–255."]
