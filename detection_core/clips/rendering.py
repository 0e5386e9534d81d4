"""render_clip: the annotated video from what was found before, without any detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from detection_core.clips.looking import look_through
from detection_core.clips.options import ClipOptions
from detection_core.clips.progress import ClipProgress, ClipResult
from detection_core.clips.records import ClipRecords, FrameRecord
from detection_core.video import Frame


def render_clip(
    records: ClipRecords,
    out: Path,
    options: ClipOptions,
    *,
    on_progress: Callable[[ClipProgress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ClipResult:
    """Draws a clip again, with another threshold, other classes, style or tracking; `every` and `fps` must be those of the records.

    Arguments, result and errors are otherwise as `detect_clip` has them.

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

    return look_through(records.video, find, out, options, on_progress, cancelled)
