"""The Live tab: the visitor's camera, with the detected objects drawn over the moving image."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import gradio as gr

from detection_core.engine import Engine
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.model_key import VariantError, state_of
from detection_core.ui.components.client_values import mapping_of, text_of
from detection_core.ui.components.model_picker import ModelPicker
from detection_core.ui.live.fallback import PlainStream
from detection_core.ui.live.frames import Response, detect_in_frame
from detection_core.ui.live.model_speed import live_picker_value
from detection_core.ui.live.streams import LiveStreams, TooManyStreamsError
from detection_core.ui.live.view import LiveMessage, LiveView, live_error, live_start
from detection_core.ui.shared.events import QUIET, server_function
from detection_core.ui.shared.progress import explain
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import uploaded_path


class LiveTab:
    """The Live tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Args:
        engine: Where detection runs.
        streams: The streams of all visitors.

    Attributes:
        picker: The model picker, for the page to refresh with `live_picker_value`.
        view: The camera; its event `snapshot` asks to see one frame in full.
    """

    def __init__(self, engine: Engine, streams: LiveStreams) -> None:
        self._engine = engine
        self._streams = streams

    def layout(self) -> None:
        """Adds the components to the page being built."""
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self.picker = ModelPicker(self._engine.model_states())
            with gr.Column(scale=1, min_width=320):
                self.view = LiveView(server_function(self.frame), server_function(self.end))
                with gr.Accordion("If the camera view does not work here", open=False):
                    self._plain_stream = PlainStream(self._engine)
                    self._plain_stream.layout()

    def wire(self, page: gr.Blocks) -> None:
        """Connects the events.

        Args:
            page: The page; the streams of visitors who leave it end.
        """
        self._plain_stream.wire(self.picker)
        self.view.begin(self.begin, self.picker, self.view, queue=False, **QUIET)
        # A choice that comes quickly after another, of a precision say, must not be lost.
        chosen = self.picker.select(
            self.choose_model, [self.picker, self.view], self.view, queue=False, trigger_mode="always_last", **QUIET
        )
        chosen.then(self.refresh, self.picker, self.picker, queue=False, **QUIET)
        # A stream may have downloaded the model, and its speed is known now.
        self.view.finished(self.refresh, self.picker, self.picker, queue=False, **QUIET)
        page.unload(self.leave)

    async def frame(self, sent: Any) -> Response:
        """Server function: detects objects in one frame."""
        return await detect_in_frame(sent, self._engine, self._streams)

    async def end(self, sent: Any) -> None:
        """Server function: ends a stream."""
        self._streams.remove(text_of(mapping_of(sent).get("stream")))

    def begin(self, key: str, request: gr.Request) -> LiveMessage:
        """Gives the visitor a stream with the chosen model, in place of the one before."""
        try:
            stream = self._streams.begin(visitor_of(request, "live"), get_model_spec(key))
        except (UnknownModelError, VariantError) as error:
            return LiveMessage(error=explain(error, key))
        except TooManyStreamsError as error:
            return live_error("The camera view is full", str(error))
        return live_start(secrets.token_hex(8), stream.token, stream.spec)

    def choose_model(self, key: str, running: str, request: gr.Request) -> LiveMessage:
        """Continues the running stream with another model; one that must be downloaded waits for the visitor to press Start."""
        if not running:
            return LiveMessage()
        if state_of(key, self._engine.model_states()) == "to download":
            return live_error("This model is not downloaded yet", "Press Start to download it, or choose another model.")
        return self.begin(key, request)

    def refresh(self, key: str) -> dict[str, Any]:
        """The picker with the models and speeds known now."""
        return live_picker_value(key, self._engine.model_states(), self._engine.run_seconds())

    def leave(self, request: gr.Request) -> None:
        """Ends the stream of a visitor who has gone."""
        self._streams.leave(visitor_of(request, "live"))

    def snapshot_path(self, data: object) -> Path | None:
        """The file of the frame that a `snapshot` event is about, or None if it is no longer on the server."""
        return uploaded_path(mapping_of(data).get("path"))
