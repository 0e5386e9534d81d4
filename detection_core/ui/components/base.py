"""What every component of ours has in common: template, style and module, events by name, and messages that are validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import gradio as gr
from gradio.components.base import Component
from gradio.data_classes import GradioModel
from gradio.events import EventListener

from detection_core.ui.components.files import read_style, read_template
from detection_core.ui.components.modules import mounting_script
from detection_core.ui.components.safe_image import NoAddresses


class BrowserComponent(gr.HTML, NoAddresses):
    """A component that a module of ours draws in the browser.

    Subclasses say what they are made of:

    Attributes:
        files: Their files in `ui/`: "detect/view" has a template `.html`, a style `.css` and a module `.js`, which exports `mount`.
        styles: Style sheets in `components/css/` that theirs builds on.
        declarations: CSS declarations for the component itself.
        browser_events: Names of the events that the module triggers, besides Gradio's own.

    Args:
        value: What it shows at first.
        constants: What the module receives once and for all. Not properties: Gradio forgets those when it builds a hidden component anew.
        **kwargs: As for `gr.HTML`.
    """

    is_template = True
    files: ClassVar[str]
    styles: ClassVar[Sequence[str]] = ()
    declarations: ClassVar[Sequence[str]] = ()
    browser_events: ClassVar[Sequence[str]] = ()

    def __init__(self, value: Any = None, *, constants: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template=read_template(self.files),
            css_template=read_style(self.files, self.styles, self.declarations),
            js_on_load=mounting_script(f"{self.files}.js", constants or {}),
            apply_default_css=False,
            **kwargs,
        )

    def __getattr__(self, name: str) -> Any:
        """An event's method; Gradio itself would take any word in quotes in the script for an event."""
        if name not in type(self).browser_events:
            raise AttributeError(f"{type(self).__name__} has neither an attribute nor an event {name}")
        return partial(EventListener(event_name=name).listener, self)

    def get_block_class(self) -> str:
        """The browser's side of it is that of `gr.HTML`, however many classes lie between."""
        return "html"

    def postprocess(self, value: Any) -> Any:
        """What goes to the browser, as it is."""
        return value

    def api_info(self) -> dict[str, Any]:
        """The value as JSON schema."""
        return {"type": "object"}


class View(BrowserComponent):
    """A component that Python and the browser send messages: each a `data_model`.

    As an output it takes a message, or a mapping from which one can be made; None empties it. A view shows its own status: use
    `show_progress="hidden"` on events that write to it.
    """

    data_model: type[GradioModel]

    def postprocess(self, value: Any) -> Any:
        """A message to the view, validated."""
        return value if value is None or isinstance(value, self.data_model) else self.data_model.model_validate(value)

    def api_info(self) -> dict[str, Any]:
        """The schema of the messages."""
        schema: dict[str, Any] = Component.api_info(self)
        return schema

    def example_value(self) -> Any:
        """A message that every view understands."""
        return {"error": {"title": "Title", "text": "Text"}}
