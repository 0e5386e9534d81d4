"""The plain stream: Gradio's own camera in, annotated images out, for browsers in which the camera view does not work."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from detection_core.engine import Cancelled, Engine
from detection_core.errors import UserError
from detection_core.images.reading import encode_jpeg
from detection_core.models.catalog import get_model_spec
from detection_core.ui.components.model_picker import ModelPicker
from detection_core.ui.components.safe_image import NoAddresses
from detection_core.ui.live.frames import read_frame
from detection_core.ui.shared.events import QUIET
from detection_core.ui.shared.served_files import serve_bytes
from detection_core.ui.shared.session import visitor_of
from detection_core.visualization import annotate

# Seconds between two frames, and how long a stream may occupy one of the server's workers.
_EVERY, _LONGEST = 0.2, 300
_PATIENCE = 60
_STREAMS = 2
_HELP = (
    "This way, whole images travel in both directions: there are fewer frames per second, objects are not tracked, and results pass "
    "through files. Allow the camera, and press the round button."
)
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}


class FrameImage(gr.Image, NoAddresses):
    """Gradio's camera, which sends frames as data URLs; as an input it gives a JPEG in base64, or None."""

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Gives the frame's JPEG in base64, not checked yet."""
        return payload.url.partition("base64,")[2] if payload is not None and payload.url else None


class PlainStream:
    """Gradio's camera and an image of each frame with its detections.

    Args:
        engine: Where detection runs.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def layout(self) -> None:
        """Adds the components to the tab being built."""
        gr.Markdown(_HELP, elem_classes="fine-print")
        with gr.Row():
            self._camera = FrameImage(
                label="Camera",
                sources=["webcam"],
                streaming=True,
                height=240,
                buttons=[],
                webcam_options=gr.WebcamOptions(constraints=_CAMERA),
            )
            # Shown with the first frame: Gradio names an empty image by a label without a role, which screen readers ignore.
            self._annotated = gr.Image(label="What the model sees", height=240, buttons=[], format="jpeg", visible=False)
        self._description = gr.Markdown("", elem_classes="fine-print")

    def wire(self, picker: ModelPicker) -> None:
        """Connects the camera.

        Args:
            picker: Gives the model's key.
        """
        self._camera.stream(
            self.detect,
            [self._camera, picker],
            [self._annotated, self._description],
            stream_every=_EVERY,
            time_limit=_LONGEST,
            concurrency_limit=_STREAMS,
            concurrency_id="plain-stream",
            **QUIET,
        )

    def detect(self, frame: str | None, key: str, request: gr.Request) -> tuple[Any, str]:
        """The annotated frame, and the detected objects in words."""
        if frame is None:
            return gr.skip(), ""
        try:
            spec, loaded = get_model_spec(key), read_frame(frame)
            result = self._engine.submit(loaded, spec, visitor=visitor_of(request, "live"), keep=False).result(_PATIENCE)
        except Cancelled:
            # The visitor has gone.
            return gr.skip(), ""
        except UserError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error
        except TimeoutError as error:
            raise gr.Error("The model is too slow for a stream. Choose a faster one.", print_exception=False) from error
        found = result.detections[result.detections.scores >= spec.video_threshold]
        annotated = serve_bytes(encode_jpeg(annotate(loaded.image, found)), "frame.jpg", self._annotated)
        return gr.update(value=annotated, visible=True), found.describe()
