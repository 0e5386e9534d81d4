"""Draws detections on a video's frames and writes the annotated video, in a background thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from detection_core.video.io import Frame, VideoFile, VideoWriter
from detection_core.video.options import VideoOptions
from detection_core.video.threads import BackgroundWorker
from detection_core.video.track import TrackedFrame
from detection_core.visualization import AnnotationStyle, annotate, identity_colors

# One frame being drawn and one waiting: more would only take memory, because the slowest step determines the speed.
PLACES = 2
# In frames per second; the encoder supports nothing below, and the last frame should not be shown forever.
_SLOWEST = 0.05


def draw_frame(frame: Frame, shown: TrackedFrame, style: AnnotationStyle) -> Image.Image:
    """Draws a frame's detections on it.

    Colors are stable over time: they stand for track ids, or for classes if that is requested or there are no ids.
    """
    if shown.ids is None:
        # Ranks change from frame to frame, so colors stand for them only on request.
        return annotate(frame.image, shown.detections, replace(style, color_by="class") if style.color_by == "auto" else style)
    ids = shown.ids.tolist()
    colors = None if style.color_by == "class" else identity_colors(ids)
    return annotate(frame.image, shown.detections, style, colors=colors, ids=ids)


class AnnotatedVideo:
    """Draws frames into a new video while detection goes on; use it in a `with` statement, which ends when the video is complete.

    After an error in the statement, the video has the frames before it; an error in drawing or writing is raised and leaves no video.

    Attributes:
        out: The video, or None if there is none yet.
        notes: Sentences for the user.

    Args:
        path: The MP4 file, in a folder that exists; None draws nothing.
        video: The video whose frames are drawn and whose sound is kept.
        options: The options for drawing.

    Raises:
        VideoError: If the file cannot be written there.
    """

    def __init__(self, path: Path | None, video: VideoFile, options: VideoOptions) -> None:
        self.out: Path | None = None
        self.notes: list[str] = []
        self._style = options.style
        sound = video.path if options.sound and video.has_audio else None
        self._writer = None if path is None else VideoWriter(path, video.size, max(options.rate(video), _SLOWEST), audio_from=sound)
        self._worker = BackgroundWorker(self._draw, PLACES)

    def put(self, frame: Frame, shown: TrackedFrame) -> None:
        """Queues the next frame."""
        self._worker.put((frame, shown))

    def _draw(self, item: tuple[Frame, TrackedFrame]) -> None:
        if self._writer is None:
            return
        frame, shown = item
        try:
            self._writer.write(np.asarray(draw_frame(frame, shown, self._style)), frame.time_s)
        except BaseException:
            self._writer.discard()
            raise

    def __enter__(self) -> AnnotatedVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        writer = self._writer
        try:
            self._worker.__exit__(kind, error, trace)
        finally:
            if writer is not None:
                self.out = writer.close()
                self.notes = writer.notes
