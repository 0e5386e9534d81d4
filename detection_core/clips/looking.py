"""Goes through a clip once: reading ahead, finding in between, drawing and writing behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from detection_core.clips.drawing import PLACES, AnnotatedVideo
from detection_core.clips.following import follow_frames
from detection_core.clips.options import ClipOptions
from detection_core.clips.progress import ClipProgress, ClipResult, Pace
from detection_core.clips.records import FrameRecord
from detection_core.clips.threads import ahead
from detection_core.video import Frame, VideoFile


def look_through(
    video: VideoFile,
    find: Callable[[Iterator[Frame]], Iterator[tuple[Frame, FrameRecord]]],
    out: Path | None,
    options: ClipOptions,
    on_progress: Callable[[ClipProgress], None],
    cancelled: Callable[[], bool],
) -> ClipResult:
    """Takes the frames looked at through `find`, which gives each with what is in it, and through tracker and drawing.

    Arguments, result and errors are otherwise as `detect_clip` has them.
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
    with AnnotatedVideo(out, video, options) as annotated, closing(ahead(reading, PLACES)) as frames:
        for shown in follow_frames(found(frames), options, options.rate(video)):
            annotated.put(to_draw.popleft(), shown)
    notes = dict.fromkeys([*video.notes, *annotated.notes])
    return ClipResult(pace.done, complete, seconds, annotated.out, tuple(notes))
