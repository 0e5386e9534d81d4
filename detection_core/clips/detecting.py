"""detect_clip: a clip through a detector, and into an annotated video, with reading, detecting and drawing side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from detection_core.clips.looking import look_through
from detection_core.clips.options import ClipOptions
from detection_core.clips.progress import ClipProgress, ClipResult
from detection_core.clips.records import ClipRecords, FrameRecord
from detection_core.clips.threads import side_by_side
from detection_core.detections import Detections
from detection_core.video import Frame


def detect_clip(
    records: ClipRecords,
    detect: Callable[[Image.Image], Detections],
    out: Path | None,
    options: ClipOptions,
    *,
    floor: float,
    at_once: int = 1,
    on_progress: Callable[[ClipProgress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ClipResult:
    """Finds objects in a clip's frames, keeps them in the records, and writes the annotated video.

    However it ends, what was done is kept: the records, and the video so far, properly closed, with its sound. An error comes out
    afterwards; if it is the drawing or writing of the video that fails, there is no video.

    Args:
        records: Of the clip, and empty; they take what is found in each frame.
        detect: Finds objects in an RGB picture; called in threads of its own.
        out: The MP4 file, in a folder that exists; None writes none.
        options: Which frames, and how they are shown. The video holds the frames looked at only, each at its own time.
        floor: Objects of lower scores are not even kept; see `lowest_kept`.
        at_once: How many frames are with the detector at a time.
        on_progress: Told after each frame, in this thread.
        cancelled: Asked before each frame, in this thread; True ends the work, and the result is not complete.

    Raises:
        VideoError: If the clip can no longer be read or the video cannot be written.
        OSError: If the records cannot be written.
    """

    def find(frames: Iterator[Frame]) -> Iterator[tuple[Frame, FrameRecord]]:
        for frame, found in side_by_side(lambda frame: detect(Image.fromarray(frame.image)), frames, at_once):
            kept = found[found.scores >= floor]
            records.append(frame.index, frame.time_s, kept)
            yield frame, FrameRecord(frame.index, frame.time_s, kept)

    return look_through(records.video, find, out, options, on_progress, cancelled)
