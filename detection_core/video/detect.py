"""Runs detection on a video, or reuses earlier results, and writes the annotated video; reading, detecting and drawing run in parallel."""

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
    """Detects objects in a video's frames, stores them in the records, and writes the annotated video.

    However it ends, finished work is kept: the records, and the video so far, properly closed, with its sound. An error is raised
    afterwards; if drawing or writing the video fails, there is no video.

    Args:
        records: The video's records, which must be empty; each frame's detections are appended.
        detect: Finds objects in an RGB image; called in other threads.
        out: The MP4 file, in a folder that exists; None writes no video.
        options: Which frames are processed, and how they are drawn. The annotated video has only these frames, each at its own time.
        floor: Lowest score that is stored; see `lowest_kept`.
        max_in_flight: Number of frames in the detector at the same time.
        on_progress: Called after each frame, in this thread.
        cancelled: Called before each frame, in this thread; True ends the work, and the result is not complete.

    Raises:
        VideoError: If the video can no longer be read or the annotated video cannot be written.
        OSError: If the records cannot be written.
    """

    def find(frames: Iterator[Frame]) -> Iterator[tuple[Frame, FrameRecord]]:
        for frame, found in ordered_map(lambda frame: detect(Image.fromarray(frame.image)), frames, max_in_flight):
            kept = found[found.scores >= floor]
            records.append(frame.index, frame.time_s, kept)
            yield frame, FrameRecord(frame.index, frame.time_s, kept)

    return _process(records.video, find, out, options, on_progress, cancelled)


def render_video(
    records: FrameResults,
    out: Path,
    options: VideoOptions,
    *,
    on_progress: Callable[[VideoProgress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> VideoResult:
    """Draws a video again with another threshold, style, tracking or other classes; `every` and `fps` must be those of the records.

    Arguments, result and errors are otherwise those of `detect_video`.

    Raises:
        ValueError: If the options select other frames than the records contain.
    """

    def find(frames: Iterator[Frame]) -> Iterator[tuple[Frame, FrameRecord]]:
        for record, frame in zip(records, frames, strict=False):
            if record.index != frame.index:
                raise ValueError(
                    f"the records are for other frames (frame {record.index}, not {frame.index}); use the every and fps of the detection"
                )
            yield frame, record

    return _process(records.video, find, out, options, on_progress, cancelled)


def _process(
    video: VideoFile,
    find: Callable[[Iterator[Frame]], Iterator[tuple[Frame, FrameRecord]]],
    out: Path | None,
    options: VideoOptions,
    on_progress: Callable[[VideoProgress], None],
    cancelled: Callable[[], bool],
) -> VideoResult:
    """Passes the selected frames through `find`, which yields each with its detections, then through tracker and drawing.

    Arguments, result and errors are otherwise those of `detect_video`.
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
