"""ImageResult: one image with its detections, the input of all formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.formats.numbering import Id
from detection_core.formats.provenance import Provenance
from detection_core.visualization import Color


@dataclass(frozen=True)
class VideoFacts:
    """Facts about a video that are written into files.

    Attributes:
        seconds: Duration of the video.
        fps: Frames per second, on average.
    """

    seconds: float
    fps: float


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """Facts about an image that is a frame of a video.

    Attributes:
        video: The video, whose name is the image's `file_name`.
        index: Index of the frame among all frames of the video, from 0.
        time_s: Time at which it is shown, in seconds.
        ids: int64 [N], the objects' track ids, the same in all frames; None if unknown.
    """

    video: VideoFacts
    index: int
    time_s: float
    ids: NDArray[np.int64] | None

    def track(self, index: int) -> dict[str, int]:
        """Returns one object's `track_id` for an entry in a file; empty if unknown."""
        return {} if self.ids is None else {"track_id": int(self.ids[index])}


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One image's result, ready for export.

    Attributes:
        file_name: Name of the image; it may include folders.
        detections: The objects to export: filter them first.
        provenance: Their provenance, or None.
        image: Returns the image (RGB, upright); called only by formats that draw, and not kept. None if it is not available.
        colors: One color per object for the annotated image, or None for those chosen by the style.
        numbers: One number per object, shown where its full label does not fit, or None for their ranks.
        stem: Stem of this image's files; "" derives it from `file_name`.
        frame: Facts about the frame of a video, or None for an image.
        notes: Sentences about the image, for example that its file is cut off.
        image_id: Its id in COCO's formats, from a `Numbering`. None: the images are counted, or the annotation file does not list this one.
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
    image_id: Id | None = None
