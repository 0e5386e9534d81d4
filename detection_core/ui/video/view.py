"""VideoView: a video to detect objects in, and the annotated video with counts over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detection_core.ui.components.base import View
from detection_core.ui.components.drawing import drawing_constants
from detection_core.ui.video.messages import DEFAULT_RATE, RATES, VIDEO_FORMAT, VideoMessage, VideoOrder
from detection_core.video import VIDEO_FORMATS
from detection_core.video.io import VideoLimits


class VideoView(View):
    """A video: choosing, playing, settings, progress with cancel, the annotated video, and a chart of counts to seek in.

    As an output it takes a `VideoMessage`, as an input it gives the `VideoOrder`. Its events: `begin` asks for detection, `redraw` for
    drawing the detections with other options, `example` for the example video, `download` for files (its data is an order, too);
    `finished` says that a job has ended (its data has `video`).

    Args:
        inspect: Server function that reads a video's header; it gets `path`.
        pace: Server function that gives the time for a frame; it gets `path` and `model`.
        watch: Server function that gives the progress of a video's job; it gets `video` and `seen`.
        stop: Server function that cancels it; it gets `video`.
        limits: Which videos are accepted.
        value: What it shows first.
    """

    data_model = VideoMessage
    files = "video/view"
    styles = ("view", "export_menu", "drop_zone")
    browser_events = ("begin", "redraw", "finished", "example", "download")

    def __init__(
        self,
        inspect: Callable[..., Any],
        pace: Callable[..., Any],
        watch: Callable[..., Any],
        stop: Callable[..., Any],
        *,
        limits: VideoLimits,
        value: VideoMessage | None = None,
        **kwargs: Any,
    ) -> None:
        constants = {
            **drawing_constants(),
            "limits": {"seconds": limits.max_seconds, "bytes": limits.max_bytes},
            "rates": list(RATES),
            "defaultRate": DEFAULT_RATE,
            "exportFormats": _format_choices(),
        }
        super().__init__(value, constants=constants, server_functions=[inspect, pace, watch, stop], **kwargs)

    def preprocess(self, payload: VideoMessage | None) -> VideoOrder:
        """The visitor's order."""
        return VideoOrder.from_client(payload.order if payload else None)

    def example_payload(self) -> Any:
        """An order as a browser sends it."""
        return {"order": {"rate": DEFAULT_RATE}}


def _format_choices() -> list[dict[str, str]]:
    video = {"key": VIDEO_FORMAT, "title": "MP4", "description": "The annotated video with its sound."}
    return [video, *({"key": key, "title": known.title, "description": known.description} for key, known in VIDEO_FORMATS.items())]
