"""PictureResult: one picture with what was found in it, as all formats take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from detection_core.detections import Detections
from detection_core.export.provenance import Provenance
from detection_core.visualization import Color


@dataclass(frozen=True, eq=False)
class PictureResult:
    """What goes into files about one picture.

    Attributes:
        file_name: What the picture is called; may have folders before it.
        detections: The objects to export: filter them first.
        provenance: Where they come from, or None.
        image: Gives the picture (RGB, upright); asked only by formats that draw, and not kept. None if there is none to be had.
        colors: One colour per object for the annotated picture, or None for those that the style gives.
        numbers: What objects are called where their label finds no room, or None for their ranks.
        stem: Name of this picture's own files, without their endings; "" makes it from `file_name`.
    """

    file_name: str
    detections: Detections
    provenance: Provenance | None = None
    image: Callable[[], Image.Image] | None = None
    colors: Sequence[Color] | None = None
    numbers: Sequence[int] | None = None
    stem: str = ""
