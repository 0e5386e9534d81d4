"""PictureResult: one picture with what was found in it, as all formats take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.formats.provenance import Provenance
from detection_core.visualization import Color


@dataclass(frozen=True)
class ClipFacts:
    """What files say about a clip as a whole.

    Attributes:
        seconds: How long it is.
        fps: Its frames per second, on average.
    """

    seconds: float
    fps: float


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """What a picture is as a frame of a clip.

    Attributes:
        clip: The clip, whose name is the picture's `file_name`.
        index: The frame's number among all frames of the clip, from 0.
        time_s: When it is shown, in seconds.
        ids: int64 [N], each object's number, the same in all frames; None if they are not known.
    """

    clip: ClipFacts
    index: int
    time_s: float
    ids: NDArray[np.int64] | None

    def track(self, index: int) -> dict[str, int]:
        """One object's `track_id` for an entry in a file; empty if it is not known."""
        return {} if self.ids is None else {"track_id": int(self.ids[index])}


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
        frame: What it is as a frame of a clip, or None for a picture.
    """

    file_name: str
    detections: Detections
    provenance: Provenance | None = None
    image: Callable[[], Image.Image] | None = None
    colors: Sequence[Color] | None = None
    numbers: Sequence[int] | None = None
    stem: str = ""
    frame: FrameFacts | None = None
