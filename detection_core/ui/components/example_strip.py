"""A row of example images, each a button with a name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradio.data_classes import FileData, GradioModel

from detection_core.ui.components.base import BrowserComponent


class Example(GradioModel):
    """One example: its file and what it shows."""

    image: FileData
    name: str


class Examples(GradioModel):
    """All examples."""

    examples: list[Example]


class ExampleStrip(BrowserComponent):
    """Shows example images; the data of its event `select` has the `index` of the clicked one.

    Args:
        images: Paths by name.
    """

    files = "components/example_strip"
    data_model = Examples

    def __init__(self, images: Mapping[str, Path], **kwargs: Any) -> None:
        examples = [Example(image=FileData(path=str(path)), name=name) for name, path in images.items()]
        super().__init__(Examples(examples=examples), **kwargs)

    def preprocess(self, payload: Examples | None) -> None:
        """Gives nothing: the event has the index."""
