"""ImageResult: one image with what was found in it, as all formats take it."""

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
class VideoFacts:
    """What files say about a video as a whole.

    Attributes:
        seconds: How long it is.
        fps: Its frames per second, on average.
    """

    seconds: float
    fps: float


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """What an image is as a frame of a video.

    Attributes:
        video: The video, whose name is the image's `file_name`.
        index: The frame's number among all frames of the video, from 0.
        time_s: When it is shown, in seconds.
        ids: int64 [N], each object's number, the same in all frames; None if they are not known.
    """

    video: VideoFacts
    index: int
    time_s: float
    ids: NDArray[np.int64] | None

    def track(self, index: int) -> dict[str, int]:
        """One object's `track_id` for an entry in a file; empty if it is not known."""
        return {} if self.ids is None else {"track_id": int(self.ids[index])}


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What goes into files about one image.

    Attributes:
        file_name: What the image is called; may have folders before it.
        detections: The objects to export: filter them first.
        provenance: Where they come from, or None.
        image: Gives the image (RGB, upright); asked only by formats that draw, and not kept. None if there is none to be had.
        colors: One color per object for the annotated image, or None for those that the style gives.
        numbers: What objects are called where their label finds no room, or None for their ranks.
        stem: Name of this image's own files, without their endings; "" makes it from `file_name`.
        frame: What it is as a frame of a video, or None for an image.
        notes: Sentences on the image, such as that its file was cut off.
    """

    file_name: str
    detections: Detections
    provenance: Provenance | None = None
    image: Callable[[], Image.Image] | None = None
    colors: Sequence[Color] | None = None
    numbers: Sequence[int] | None = None
    stem: str = ""
    frame: FrameFacts | None = None
    notes: tuple[str, ...] = ()
