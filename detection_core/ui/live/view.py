"""LiveView: the visitor's camera, with the detected objects drawn over the moving image in the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detection_core.ui.components.base import View
from detection_core.ui.components.drawing import SKELETON_COLORS, drawing_constants
from detection_core.ui.live.messages import LiveMessage, LiveStart, live_error, live_start

__all__ = ["LiveMessage", "LiveStart", "LiveView", "live_error", "live_start"]


class LiveView(View):
    """The visitor's camera with an overlay: start and stop, camera, mirror, threshold, layers, counts, and a meter.

    As an output it takes a `LiveMessage`, as an input it gives the name of the running stream, or "". Its events: `begin` asks for a
    stream (return `live_start` or `live_error`), `finished` says that the stream has ended, `snapshot` asks to see one frame in full (its
    data has `path`, the uploaded file).

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

    data_model = LiveMessage
    files = "live/view"
    styles = ("view",)
    declarations = SKELETON_COLORS
    browser_events = ("begin", "finished", "snapshot")

    def __init__(self, frame: Callable[..., Any], end: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(constants=drawing_constants(), server_functions=[frame, end], **kwargs)

    def preprocess(self, payload: LiveMessage | None) -> str:
        """Name of the running stream, or ""; the stream may no longer exist."""
        return payload.stream if payload else ""

    def example_payload(self) -> Any:
        """A stream's name as a browser sends it."""
        return {"stream": ""}
