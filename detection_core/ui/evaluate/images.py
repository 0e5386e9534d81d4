"""Parts of the data's images, and whole ones, for the browser."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from PIL import Image

from detection_core.datasets.coco import AnnotatedImage, DataError
from detection_core.datasets.images import read_part, read_upright
from detection_core.images.reading import ImageError, encode_jpeg
from detection_core.ui.components.client_values import bounded

# Of one request; the browser asks for more as they come into view.
MOST_CROPS = 24
_CROP = 200
_LARGEST = 1600
# What is shown around an object, as a part of its longer side, and at least in pixels.
_MARGIN, _LEAST_MARGIN = 0.25, 12


def crop(image: AnnotatedImage, box: Sequence[float]) -> dict[str, Any]:
    """An object with something around it.

    Args:
        image: The image.
        box: XYWH in its pixels.

    Returns:
        `url`, a data URL, and `part`, [x, y, width, height] of what it shows; or `error`.
    """
    width, height = image.size
    x, y, w, h = box
    margin = max(_MARGIN * max(w, h), _LEAST_MARGIN)
    left, top = max(x - margin, 0), max(y - margin, 0)
    right, bottom = min(x + w + margin, width), min(y + h + margin, height)
    if right - left < 1 or bottom - top < 1:
        return {"error": "The box lies outside of the image."}
    scale = _CROP / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    try:
        part = read_part(image, (left, top, right, bottom), size)
    except (ImageError, OSError):
        return {"error": "The image can no longer be read."}
    return {"url": _data_url(part), "part": [left, top, right - left, bottom - top]}


def whole_image(image: AnnotatedImage) -> dict[str, Any]:
    """A whole image: `url`, a data URL, and `width` and `height` in pixels of the data.

    Raises:
        DataError: If it can no longer be read.
    """
    try:
        pixels = read_upright(image)
    except (ImageError, OSError) as error:
        raise DataError(f"{image.file_name} can no longer be read. Choose the data again.") from error
    scale = min(1.0, _LARGEST / max(pixels.size))
    if scale < 1:
        pixels = pixels.resize((max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale))), Image.Resampling.BILINEAR)
    width, height = image.size
    return {"url": _data_url(pixels), "width": width, "height": height}


def sent_box(sent: object) -> list[float] | None:
    """A box that a browser sent, XYWH; None if it is none."""
    if not isinstance(sent, list) or len(sent) != 4:
        return None
    values = [bounded(value, -1e6, 1e6, float("nan")) for value in sent]
    return None if any(value != value for value in values) or values[2] < 0 or values[3] < 0 else values


def _data_url(image: Image.Image) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, 85)).decode("ascii")
