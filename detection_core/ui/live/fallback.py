"""The plain stream: Gradio's own camera in, annotated images out, for where the camera view does not work."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from detection_core.engine import Cancelled, Engine
from detection_core.errors import UserError
from detection_core.images.reading import encode_jpeg
from detection_core.models.catalog import get_model_spec
from detection_core.ui.components.model_picker import ModelPicker
from detection_core.ui.components.safe_image import NoAddresses
from detection_core.ui.live.frames import read_frame
from detection_core.ui.shared.served_files import serve_bytes
from detection_core.ui.shared.session import visitor_of
from detection_core.visualization import annotate

# Seconds: how often Gradio asks, and how long a stream may have one of the server's workers.
_EVERY, _LONGEST = 0.2, 300
_PATIENCE = 60
_STREAMS = 2
_CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}


class FrameImage(gr.Image, NoAddresses):
    """Gradio's camera, which sends frames as data URLs; as an input it gives a JPEG in base64, or None."""

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Gives the frame's JPEG in base64, not looked at yet."""
        return payload.url.partition("base64,")[2] if payload is not None and payload.url else None


def add_plain_stream(engine: Engine, picker: ModelPicker) -> None:
    """Adds the stream to the tab being built.

    Args:
        engine: Where detection runs.
        picker: Gives the model's key.
    """
    gr.Markdown(
        "The plain way sends whole images there and back: fewer a second, without identities, and results pass through files. "
        "Allow the camera, and press the round button.",
        elem_classes="fine-print",
    )
    with gr.Row():
        camera = FrameImage(
            label="Camera",
            sources=["webcam"],
            streaming=True,
            height=240,
            buttons=[],
            webcam_options=gr.WebcamOptions(constraints=_CAMERA),
        )
        seen = gr.Image(label="What the model sees", height=240, buttons=[], format="jpeg")
    told = gr.Markdown("", elem_classes="fine-print")

    def look(frame: str | None, key: str, request: gr.Request) -> tuple[Any, str]:
        """One frame with what was found in it, and that in words."""
        if frame is None:
            return gr.skip(), ""
        try:
            spec, loaded = get_model_spec(key), read_frame(frame)
            result = engine.submit(loaded, spec, visitor=visitor_of(request, "live"), keep=False).result(_PATIENCE)
        except Cancelled:
            # The visitor has gone.
            return gr.skip(), ""
        except UserError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error
        except TimeoutError as error:
            raise gr.Error("The model takes too long for a stream. Choose a faster one.", print_exception=False) from error
        found = result.detections[result.detections.scores >= spec.default_threshold]
        return _served(annotate(loaded.image, found), seen), found.describe()

    camera.stream(
        look,
        [camera, picker],
        [seen, told],
        stream_every=_EVERY,
        time_limit=_LONGEST,
        concurrency_limit=_STREAMS,
        concurrency_id="plain-stream",
        show_progress="hidden",
        api_visibility="private",
    )


def _served(image: Image.Image, component: gr.Image) -> str:
    return serve_bytes(encode_jpeg(image), "frame.jpg", component)
