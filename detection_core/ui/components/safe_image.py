"""Inputs that fetch no URLs, and an image input that gives the uploaded file as it is, without Gradio's decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from gradio.blocks import Block
from gradio.data_classes import ImageData
from gradio_client.utils import is_http_url_like

URLS_ARE_NOT_FETCHED = "Send the image as a file; URLs are not fetched."


class NoAddresses(Block):
    """A component whose files come from the visitor's disk: the server fetches no URL that a visitor sends.

    Attributes:
        wanted: How its value has to be sent, for the message about any other.
    """

    wanted: ClassVar[str] = "as /gradio_api/info describes it"

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Keeps a file; Gradio calls it for every file in what a browser sends.

        Raises:
            gr.Error: If it is a URL.
        """
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error(URLS_ARE_NOT_FETCHED, print_exception=False)
        cached: str | None = await super().async_move_resource_to_block_cache(url_or_file_path)
        return cached


class SafeText(gr.Textbox, NoAddresses):
    """`gr.Textbox` that fetches no URL: Gradio searches for files in what is sent for any input, whatever its type."""

    is_template = True
    wanted = "as text"

    def preprocess(self, payload: Any) -> str | None:
        """Gives the text, or None.

        Raises:
            gr.Error: If it is something else.
        """
        if payload is not None and not isinstance(payload, str):
            raise wrong_value(self)
        return payload


class SafeImage(gr.Image, NoAddresses):
    """`gr.Image` that never decodes what it is given; `detection_core.images.reading` does, with limits and readable errors."""

    is_template = True
    wanted = (
        'as an uploaded file, {"path": …, "meta": {"_type": "gradio.FileData"}}, as gradio_client\'s handle_file does; '
        "text, numbers, URLs and data URLs are not images"
    )

    def __init__(self, value: str | None = None, **kwargs: Any) -> None:
        super().__init__(value, type="filepath", image_mode=None, **kwargs)

    def get_config(self, cls: type[Block] | None = None) -> dict[str, Any]:
        """The configuration of `gr.Image`, whose script runs in the browser; Gradio reads it from that constructor's signature."""
        config: dict[str, Any] = super().get_config(cls or gr.Image)
        return config

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Gives the path of the uploaded file.

        Args:
            payload: What the browser sent.

        Raises:
            gr.Error: If it is anything but an uploaded file, such as a data URL, which bypasses the size limit.
        """
        if payload is None:
            return None
        if not payload.path:
            raise wrong_value(self)
        return str(Path(payload.path))


def wrong_value(block: Block) -> gr.Error:
    """The error that says how a component's value has to be sent."""
    return gr.Error(f"Send the {name_of(block)} {getattr(block, 'wanted', NoAddresses.wanted)}.", print_exception=False)


def name_of(block: Block) -> str:
    """What a message calls a component's value."""
    return str(getattr(block, "label", None) or block.get_block_name()).lower()
