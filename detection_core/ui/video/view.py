"""VideoView: a video to detect objects in, and the annotated video with counts over time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components.base import Component

from detection_core.ui.components.files import component_files
from detection_core.ui.components.safe_image import NoAddresses
from detection_core.ui.video.messages import DEFAULT_RATE, RATES, VIDEO_FORMAT, VideoMessage, VideoOrder
from detection_core.video import VIDEO_FORMATS
from detection_core.video.io import VideoLimits

_SCRIPTS = (
    *("dom", "model_keys", "controls", "feedback", "export_menu", "drop_zone"),
    *("video/words", "video/upload", "video/follow", "video/player", "video/series", "video/chart"),
)


class VideoView(gr.HTML, NoAddresses):
    """A video: choosing, playing, settings, progress with cancel, the annotated video, and a chart of counts to seek in.

    As an output it takes a `VideoMessage`, as an input it gives the `VideoOrder`. Its events: `begin` asks for detection, `redraw` for
    drawing the detections with other options, `example` for the example video, `download` for files (its data is an order, too);
    `settled` says that a job has ended (its data has `video`). Use `show_progress="hidden"` on events that write to it: it shows its own
    status.

    Args:
        inspect: Server function that reads a video's header; it gets `path`.
        pace: Server function that gives the time for a frame; it gets `path` and `model`.
        watch: Server function that gives the progress of a video's job; it gets `video` and `seen`.
        stop: Server function that cancels it; it gets `video`.
        limits: Which videos are accepted.
        value: What it shows first.
    """

    is_template = True
    data_model = VideoMessage

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
        files = component_files("video/view", *_SCRIPTS, styles=("view", "export_menu", "drop_zone"))
        constants = {
            "LIMITS": {"seconds": limits.max_seconds, "bytes": limits.max_bytes},
            "RATES": list(RATES),
            "DEFAULT_RATE": DEFAULT_RATE,
            "VIDEO_FORMATS": _format_choices(),
        }
        # Not properties: Gradio forgets those when it builds a hidden component anew.
        told = "".join(f"const {name} = {json.dumps(constant)};\n" for name, constant in constants.items())
        files["js_on_load"] = told + files["js_on_load"]
        super().__init__(value, **files, apply_default_css=False, server_functions=[inspect, pace, watch, stop], **kwargs)

    def preprocess(self, payload: VideoMessage | None) -> VideoOrder:
        """The visitor's order."""
        return VideoOrder.from_client(payload.order if payload else None)

    def postprocess(self, value: VideoMessage | None) -> VideoMessage | None:
        """A message to the view."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The schema of `VideoMessage`."""
        return Component.api_info(self)

    def example_payload(self) -> Any:
        """An order as a browser sends it."""
        return {"order": {"rate": DEFAULT_RATE}}

    def example_value(self) -> Any:
        """A message without a file."""
        return VideoMessage(notes=["Detecting objects"])


def _format_choices() -> list[dict[str, str]]:
    video = {"key": VIDEO_FORMAT, "title": "MP4", "description": "The annotated video with its sound."}
    return [video, *({"key": key, "title": known.title, "description": known.description} for key, known in VIDEO_FORMATS.items())]
