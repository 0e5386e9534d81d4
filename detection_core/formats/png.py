"""The annotated image as a PNG that tells what it shows and with which settings it was made."""

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
    """Draws detections over an image and stamps the file with its settings.

    Args:
        image: The image, RGB; a color profile in its `info` is kept.
        detections: What is drawn.
        style: How.
        provenance: Where the detections come from, or None.
        colors: One color per object, or None for those that the style gives.
        numbers: What objects are called where their label finds no room, or None for their ranks.

    Returns:
        The file; its text chunks are those of `png_with_facts`: `Description` ("4 persons, 1 dog") and `Settings`, a JSON object
        with `style` and, where given, `provenance`.

    Raises:
        ValueError: If the image does not fit the detections.
    """
    drawn = annotate(image, detections, style, colors=colors, numbers=numbers)
    if profile := image.info.get("icc_profile"):
        drawn.info["icc_profile"] = profile
    facts: dict[str, Any] = {"style": asdict(style)} | ({"provenance": provenance.to_json()} if provenance else {})
    return png_with_facts(drawn, detections.describe(), facts)


def png_with_facts(image: Image.Image, description: str, settings: Mapping[str, Any]) -> bytes:
    """A PNG with `Software`, `Description` and, as JSON, `Settings` in its text chunks, where Pillow and ExifTool find them.

    Args:
        image: What is written; a color profile in its `info` is kept.
        description: What there is to see.
        settings: How it was made, as plain types.
    """
    text = PngInfo()
    text.add_text("Software", f"Detection Explorer {__version__}")
    text.add_itxt("Description", description)
    text.add_itxt("Settings", json.dumps(settings, ensure_ascii=False))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=text, compress_level=_COMPRESSION, icc_profile=image.info.get("icc_profile"))
    return file.getvalue()
