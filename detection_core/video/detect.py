"""A video through a detector, or through what was detected before, into an annotated video: reading, detecting and drawing side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from PIL import Image

from detection_core.detections import Detections
from detection_core.video.annotate import PLACES, AnnotatedVideo
from detection_core.video.io import Frame, VideoFile
from detection_core.video.options import VideoOptions
from detection_core.video.progress import Pace, VideoProgress, VideoResult
from detection_core.video.records import FrameRecord, FrameResults
from detection_core.video.threads import ordered_map, prefetch
from detection_core.video.track import track_frames


def detect_video(
    records: FrameResults,
    detect: Callable[[Image.Image], Detections],
    out: Path | None,
    options: VideoOptions,
    *,
    floor: float,
    max_in_flight: int = 1,
    on_progress: Callable[[VideoProgress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> VideoResult:
    """Finds objects in a video's frames, keeps them in the records, and writes the annotated video.

    However it ends, what was done is kept: the records, and the video so far, properly closed, with its sound. An error comes out
    afterwards; if it is the drawing or writing of the video that fails, there is no video.

    Args:
        records: Of the video, and empty; they take what is found in each frame.
        detect: Finds objects in an RGB image; called in threads of its own.
        out: The MP4 file, in a folder that exists; None writes none.
        options: Which frames, and how they are shown. The video holds the frames looked at only, each at its own time.
        floor: Objects of lower scores are not even kept; see `lowest_kept`.
        max_in_flight: How many frames are with the detector at a time.
        on_progress: Told after each frame, in this thread.
        cancelled: Asked before each frame, in this thread; True ends the work, and the result is not complete.

    Raises:
        VideoError: If the video can no longer be read or the video cannot be written.
        OSError: If the records cannot be written.
    """

    def find(frames: Iterator[Frame]) -> Iterator[tuple[Frame, FrameRecord]]:
        for frame, found in ordered_map(lambda frame: detect(Image.fromarray(frame.image)), frames, max_in_flight):
            kept = found[found.scores >= floor]
            records.append(frame.index, frame.time_s, kept)
            yield frame, FrameRecord(frame.index, frame.time_s, kept)

    return _look_through(records.video, find, out, options, on_progress, cancelled)


def render_video(
    records: FrameResults,
    out: Path,
    options: VideoOptions,
    *,
    on_progress: Callable[[VideoProgress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> VideoResult:
    """Draws a video again, with another threshold, other classes, style or tracking; `every` and `fps` must be those of the records.

    Arguments, result and errors are otherwise as `detect_video` has them.

    Raises:
        ValueError: If the options look at other frames than the records hold.
    """

    def find(frames: Iterator[Frame]) -> Iterator[tuple[Frame, FrameRecord]]:
        for record, frame in zip(records, frames, strict=False):
            if record.index != frame.index:
                raise ValueError(
                    f"what was found is of other frames; give the every and fps of then (frame {record.index}, not {frame.index})"
                )
            yield frame, record

    return _look_through(records.video, find, out, options, on_progress, cancelled)


def _look_through(
    video: VideoFile,
    find: Callable[[Iterator[Frame]], Iterator[tuple[Frame, FrameRecord]]],
    out: Path | None,
    options: VideoOptions,
    on_progress: Callable[[VideoProgress], None],
    cancelled: Callable[[], bool],
) -> VideoResult:
    """Takes the frames looked at through `find`, which gives each with what is in it, and through tracker and drawing.

    Arguments, result and errors are otherwise as `detect_video` has them.
    """
    pace = Pace(options.frames(video), on_progress)
    to_draw: deque[Frame] = deque()
    complete, seconds = True, 0.0

    def until_cancelled(frames: Iterator[Frame]) -> Iterator[Frame]:
        nonlocal complete
        for frame in frames:
            if cancelled():
                complete = False
                return
            yield frame

    def found(frames: Iterator[Frame]) -> Iterator[FrameRecord]:
        nonlocal seconds
        for frame, record in find(until_cancelled(frames)):
            seconds = frame.time_s + 1 / options.rate(video)
            to_draw.append(frame)
            pace.add()
            yield record

    reading = video.frames(every=options.every, fps=options.fps)
    with AnnotatedVideo(out, video, options) as annotated, closing(prefetch(reading, PLACES)) as frames:
        for shown in track_frames(found(frames), options, options.rate(video)):
            annotated.put(to_draw.popleft(), shown)
    notes = dict.fromkeys([*video.notes, *annotated.notes])
    return VideoResult(pace.done, complete, seconds, annotated.out, tuple(notes))
