"""Writes annotated images as PNG files with a description and their settings in text chunks."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from detection_core import __version__
from detection_core.detections import Detections
from detection_core.formats.provenance import Provenance
from detection_core.visualization import AnnotationStyle, Color, annotate

# Pillow's default of 6 takes three times as long for files that are a tenth smaller.
_COMPRESSION = 3
_STYLE = AnnotationStyle()


def annotated_png(
    image: Image.Image,
    detections: Detections,
    *,
    style: AnnotationStyle = _STYLE,
    provenance: Provenance | None = None,
    colors: Sequence[Color] | None = None,
    numbers: Sequence[int] | None = None,
) -> bytes:
    """Draws detections over an image and stores the settings in the file.

    Args:
        image: The image, RGB; a color profile in its `info` is kept.
        detections: The objects to draw.
        style: The style in which they are drawn.
        provenance: Provenance of the detections, or None.
        colors: One color per object, or None for those chosen by the style.
        numbers: One number per object, shown where its full label does not fit, or None for their ranks.

    Returns:
        The file; its text chunks are those of `png_with_facts`: `Description` ("4 persons, 1 dog") and `Settings`, a JSON object
        with `style` and, if given, `provenance`.

    Raises:
        ValueError: If the image's size differs from that of the detections.
    """
    drawn = annotate(image, detections, style, colors=colors, numbers=numbers)
    if profile := image.info.get("icc_profile"):
        drawn.info["icc_profile"] = profile
    facts: dict[str, Any] = {"style": asdict(style)} | ({"provenance": provenance.to_json()} if provenance else {})
    return png_with_facts(drawn, detections.describe(), facts)


def png_with_facts(image: Image.Image, description: str, settings: Mapping[str, Any]) -> bytes:
    """Encodes a PNG with `Software`, `Description` and, as JSON, `Settings` in its text chunks, where Pillow and ExifTool find them.

    Args:
        image: The image; a color profile in its `info` is kept.
        description: Description of the image's contents.
        settings: The settings with which it was made, as plain types.
    """
    text = PngInfo()
    text.add_text("Software", f"Detection Explorer {__version__}")
    text.add_itxt("Description", description)
    text.add_itxt("Settings", json.dumps(settings, ensure_ascii=False))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text, compress_level=_COMPRESSION, icc_profile=image.info.get("icc_profile"))
    return file.getvalue()
