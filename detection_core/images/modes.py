"""Converts every pixel mode of Pillow to 8-bit RGB, and reads an image's orientation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# EXIF 2.32, tag 0x0112: the transformation that turns the stored image upright.
_ORIENTATION_TAG = 0x0112
# Close to the largest float32, 3.4028e38, which geographic programs write for pixels without data.
_FLOAT_NO_DATA = 3.4e38
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
    pixels without data become black.

    Args:
        image: Any mode that Pillow can convert; it is decoded here if necessary.

    Raises:
        ValueError: If Pillow cannot convert the mode.
        OSError: If decoding fails.
    """
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        pixels, notes = scale_to_8_bits(np.asarray(image)[..., None])
        return Image.fromarray(pixels[..., 0]).convert("RGB"), notes
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


def scale_to_8_bits(
    values: NDArray[Any], missing: NDArray[np.bool_] | None = None, *, inverted: bool = False
) -> tuple[NDArray[np.uint8], list[str]]:
    """Scales samples of any kind to 0–255, all channels in the same way, and returns notes on how.

    Args:
        values: Integers or floats [H,W,C]. In floats, NaN and magnitudes near the largest float32 mark pixels without data.
        missing: Where there is no data, [H,W].
        inverted: Whether the smallest value is white.

    Returns:
        uint8 [H,W,C], black where there is no data, and notes for the user.
    """
    bits = 8 * values.dtype.itemsize
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):  # float16 does not reach _FLOAT_NO_DATA.
            no_data = np.isnan(values) | (np.isfinite(values) & (np.abs(values) >= _FLOAT_NO_DATA))
        missing = no_data if missing is None else no_data | missing[..., None]
    elif missing is not None:
        missing = np.broadcast_to(missing[..., None], values.shape)
    seen = None if missing is None or not missing.any() else ~missing
    if values.dtype == np.uint8:
        pixels, notes = np.array(values), list[str]()
    elif values.dtype == np.uint16:
        pixels, notes = _from_16_bits(values, seen)
    else:
        pixels, notes = _stretched(values, seen, bits)
    if inverted:
        pixels = 255 - pixels
    if seen is not None:
        pixels[~seen] = 0
        if seen.any():
            notes = [*notes, "Pixels without data are shown black."]
    return pixels, notes


def _from_16_bits(values: NDArray[np.uint16], seen: NDArray[np.bool_] | None) -> tuple[NDArray[np.uint8], list[str]]:
    largest = int(values.max() if seen is None else np.max(values, where=seen, initial=0))
    bits = next(bits for bits in (8, 10, 12, 14, 16) if largest < 2**bits)
    table = np.rint(np.arange(2**bits) * (255 / (2**bits - 1))).astype(np.uint8)
    why = "" if bits == 16 else f" as if it had {bits}, because no value exceeds {largest}"
    return table[np.minimum(values, 2**bits - 1) if seen is not None else values], [f"16-bit image scaled to 8 bits{why}."]


def _stretched(values: NDArray[Any], seen: NDArray[np.bool_] | None, bits: int) -> tuple[NDArray[np.uint8], list[str]]:
    stretched = values.astype(np.float64)
    finite = np.isfinite(stretched)
    if seen is not None:
        finite &= seen
    if not finite.any():
        return np.zeros(values.shape, np.uint8), [f"{bits}-bit image without a finite value: shown black."]
    low = float(np.min(stretched, where=finite, initial=np.inf))
    high = float(np.max(stretched, where=finite, initial=-np.inf))
    with np.errstate(all="ignore"):  # Infinities and NaN are replaced below.
        stretched -= low
        stretched *= 255 / (high - low) if high > low else 0.0
    np.nan_to_num(stretched, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    pixels = np.rint(np.clip(stretched, 0, 255)).astype(np.uint8)
    return pixels, [f"{bits}-bit image: values from {low:g} to {high:g} scaled to 0–255."]
