"""LiveView: the visitor's camera, with the detected objects drawn over the moving image in the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components.base import Component

from detection_core.ui.components.files import component_files
from detection_core.ui.components.safe_image import NoAddresses
from detection_core.ui.live.messages import LiveMessage, LiveStart, live_error, live_start
from detection_core.visualization import SIDE_COLORS, to_hex

__all__ = ["LiveMessage", "LiveStart", "LiveView", "live_error", "live_start"]

_SCRIPTS = (
    *("dom", "model_keys", "geometry", "overlay", "labels", "controls", "feedback", "class_counts"),
    *("live/camera", "live/frames", "live/pace", "live/queue", "live/motion", "live/meter", "live/counts"),
)
_SKELETON_COLORS = [f"--skeleton-{side}: {to_hex(color)};" for side, color in SIDE_COLORS.items()]


class LiveView(gr.HTML, NoAddresses):
    """The visitor's camera with an overlay: start and stop, camera, mirror, threshold, layers, counts, and a meter.

    As an output it takes a `LiveMessage`, as an input it gives the name of the running stream, or "". Its events: `begin` asks for a
    stream (return `live_start` or `live_error`), `settled` says that the stream has ended, `snapshot` asks to see one frame in full (its
    data has `path`, the uploaded file). Use `show_progress="hidden"` on events that write to it.

    Args:
        frame: Server function of the name `frame`. The browser sends one frame: `stream`, `id` (growing), `image` (a JPEG's
            base64; the longer side has up to 640 pixels), `time` (of its capture, in ms of the page's clock), `threshold`,
            `stable` (whether objects are to be tracked), `tasks` (which of "masks" and "keypoints" are shown); or `stream` and
            `id` alone, to ask for that frame again. The response is a mapping with one of

            - `result`: `id`, `time`, `threshold` (as they were sent), `width`, `height` (of the frame), `objects` (`track`, 0 without one;
              `class_id`, `score`, `box`, `velocity` in pixels a second, `color`, `polygons` or None, `keypoints` or None), `in_view` and
              `total` (numbers by class name), `ms` (`decode`, `wait`, `network`, `post`, `track`) and `room` (whether the next frame may
              be sent before this one's response);
            - `status`: a `ViewStatus`; there is no result yet, and the browser asks again at once;
            - `busy`: why the frame cannot be processed now, in words; the browser tries again with a new frame after two seconds;
            - `dropped`: True; this frame is not processed, because others are running;
            - `error` (a `ViewError`), `refused` or `expired` (in words): the browser stops and shows it.
        end: Server function of the name `end`; it gets `stream`, which has ended.
    """

    is_template = True
    data_model = LiveMessage

    def __init__(self, frame: Callable[..., Any], end: Callable[..., Any], **kwargs: Any) -> None:
        files = component_files("live/view", *_SCRIPTS, styles=("view",))
        # Declarations outside a rule belong to the component itself.
        files["css_template"] = "\n".join([*_SKELETON_COLORS, files["css_template"]])
        super().__init__(None, **files, apply_default_css=False, server_functions=[frame, end], **kwargs)

    def preprocess(self, payload: LiveMessage | None) -> str:
        """Name of the running stream, or ""; the stream may no longer exist."""
        return payload.stream if payload else ""

    def postprocess(self, value: LiveMessage | None) -> LiveMessage | None:
        """A message to the view."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The schema of `LiveMessage`."""
        return Component.api_info(self)

    def example_payload(self) -> Any:
        """A stream's name as a browser sends it."""
        return {"stream": ""}

    def example_value(self) -> Any:
        """A message without a file."""
        return LiveMessage(notes=["Ready"])
