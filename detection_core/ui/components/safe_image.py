"""Inputs that fetch no URLs, and an image input that gives the uploaded file as it is, without Gradio's decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.data_classes import ImageData
from gradio_client.utils import is_http_url_like


class NoAddresses(Block):
    """A component whose files come from the visitor's disk: the server fetches no URL that a visitor sends."""

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Keeps a file; Gradio calls it for every file in what a browser sends.

        Raises:
            gr.Error: If it is a URL.
        """
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error("Send the image as a file; URLs are not fetched.", print_exception=False)
        cached: str | None = await super().async_move_resource_to_block_cache(url_or_file_path)
        return cached


class SafeText(gr.Textbox, NoAddresses):
    """`gr.Textbox` that fetches no URL: Gradio searches for files in what is sent for any input, whatever its type."""

    is_template = True


class SafeImage(gr.Image, NoAddresses):
    """`gr.Image` that never decodes what it is given; `detection_core.images.reading` does, with limits and readable errors."""

    is_template = True

    def __init__(self, value: str | None = None, **kwargs: Any) -> None:
        super().__init__(value, type="filepath", image_mode=None, **kwargs)

    def get_config(self, cls: type[Block] | None = None) -> dict[str, Any]:
        """The configuration of `gr.Image`, whose script runs in the browser; Gradio reads it from that constructor's signature."""
        config: dict[str, Any] = super().get_config(cls or gr.Image)
        return config

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Gives the path of the uploaded file.

        Args:
            payload: What the browser sent; anything but an uploaded file is ignored, also data URLs, which bypass the size limit.
        """
        return str(Path(payload.path)) if payload is not None and payload.path else None
