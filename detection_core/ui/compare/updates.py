"""What handlers of the Compare tab return: a message to the view, and updates of the components beside it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from detection_core.ui.compare.messages import CompareMessage
from detection_core.ui.components.messages import ViewError

# View, name of the kept comparison, slots, button, cancel button.
Update = tuple[Any, Any, Any, Any, Any]
# Gradio takes a generator that yields nothing for an error.
NOTHING: Update = (gr.skip(),) * 5


def failure(title: str, text: str) -> CompareMessage:
    """A message that shows an error in the view."""
    return CompareMessage(error=ViewError(title=title, text=text))


def visible(is_visible: bool) -> Any:
    """Shows or hides a component."""
    return gr.update(visible=is_visible)
