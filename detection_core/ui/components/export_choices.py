"""The export formats as the browser's menu of them shows them."""

from __future__ import annotations

from detection_core.detections import Detections
from detection_core.formats import FORMATS


def format_choices() -> list[dict[str, str]]:
    """All export formats, for `createExportMenu`."""
    return [{"key": key, "title": known.title, "description": known.description} for key, known in FORMATS.items()]


def suiting_formats(detections: Detections) -> list[str]:
    """Keys of the formats that have a place for what this result holds."""
    return [key for key, known in FORMATS.items() if known.suits(detections)]
