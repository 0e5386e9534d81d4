"""The export formats for the browser's menu."""

from __future__ import annotations

from detection_core.detections import Detections
from detection_core.formats import FORMATS


def format_choices() -> list[dict[str, str]]:
    """All export formats, for `createExportMenu`."""
    return [{"key": key, "title": known.title, "description": known.description} for key, known in FORMATS.items()]


def suiting_formats(detections: Detections) -> list[str]:
    """Keys of the formats that can hold this result."""
    return [key for key, known in FORMATS.items() if known.suits(detections)]
