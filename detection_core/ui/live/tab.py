"""The Live tab: the visitor's camera, with what a model finds in it drawn over the moving image."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from detection_core.engine import Engine
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.ui.components.messages import ViewError
from detection_core.ui.components.model_picker import ModelPicker
from detection_core.ui.live.fallback import add_plain_stream
from detection_core.ui.live.frames import Answer, look_at_frame
from detection_core.ui.live.model_speed import live_picker_value
from detection_core.ui.live.streams import LiveStreams, TooManyStreamsError
from detection_core.ui.live.view import LiveMessage, LiveView, live_error, live_start
from detection_core.ui.shared.progress import explain
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import uploaded_path


@dataclass(frozen=True)
class LiveTab:
    """What the page needs of the tab.

    Attributes:
        picker: The model picker, to be refreshed with `live_picker_value`.
        view: The camera; its event `snapshot` tells that the visitor wants to see one frame in full.
        snapped: Gives that frame's file, from the event's data, or None if there is none.
    """

    picker: ModelPicker
    view: LiveView
    snapped: Callable[[object], Path | None]


def build_live_tab(page: gr.Blocks, engine: Engine, streams: LiveStreams) -> LiveTab:
    """Adds the tab's content to the page being built.

    Args:
        page: The page; the streams of visitors who leave it end.
        engine: Where detection runs.
        streams: The streams of all visitors.
    """

    async def frame(sent: Any) -> Answer:
        return await look_at_frame(sent, engine, streams)

    async def end(sent: Any) -> None:
        token = sent.get("stream") if isinstance(sent, dict) else None
        if isinstance(token, str):
            streams.end(token)

    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            picker = ModelPicker(engine.model_states())
        with gr.Column(scale=1, min_width=320):
            view = LiveView(frame, end)
            with gr.Accordion("If the camera view does not work here", open=False):
                add_plain_stream(engine, picker)

    def begin(key: str, request: gr.Request) -> LiveMessage:
        """Gives the visitor a stream with the chosen model, in place of the one before."""
        try:
            stream = streams.begin(visitor_of(request, "live"), get_model_spec(key))
        except UnknownModelError as error:
            return LiveMessage(error=explain(error, key))
        except TooManyStreamsError as error:
            return live_error("The camera view is full", str(error))
        return live_start(secrets.token_hex(8), stream.token, stream.spec)

    def choose(key: str, running: str, request: gr.Request) -> LiveMessage:
        """Goes on with another model; one that must be downloaded waits for the visitor to press Start."""
        if not running:
            return LiveMessage()
        if engine.model_states().get(key) == "to download":
            text = "It must be downloaded first. Press Start to do that, or choose another one."
            return LiveMessage(error=ViewError(title="This model is not here yet", text=text))
        return begin(key, request)

    def refresh(key: str) -> dict[str, Any]:
        return live_picker_value(key, engine.model_states(), engine.run_seconds())

    def leave(request: gr.Request) -> None:
        streams.leave(visitor_of(request, "live"))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    view.begin(begin, picker, view, **quiet)
    # A choice that follows quickly, of a precision say, must not be lost.
    picker.select(choose, [picker, view], view, trigger_mode="always_last", **quiet).then(refresh, picker, picker, **quiet)
    # A stream may have downloaded the model, and its pace is known now.
    view.settled(refresh, picker, picker, **quiet)
    page.unload(leave)
    return LiveTab(picker, view, snapped)


def snapped(data: object) -> Path | None:
    """The file of the frame that an event of the view is about, or None if it is no longer on the server."""
    return uploaded_path(data.get("path") if isinstance(data, dict) else None)
