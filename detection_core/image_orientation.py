"""Which way up a picture is to be shown, by its EXIF metadata."""

from __future__ import annotations

from PIL import Image

# EXIF 2.32, tag 0x0112: what makes the stored picture upright.
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


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1–8; 1 if there is none or it is broken.

    Like browsers, it does not look into XMP; nor into TIFFs' own tags, as Pillow turns those itself.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except Exception:  # Broken metadata is no reason to refuse a good picture.
        return 1
    return orientation if orientation in UPRIGHT else 1
