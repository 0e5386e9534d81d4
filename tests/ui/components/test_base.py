"""What all components and views share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from detection_core.ui.components.base import View
from detection_core.ui.components.messages import PageMessage


class Example(View):
    """A view of which only its messages matter here."""

    files = "detect/view"
    data_model = PageMessage
    browser_events = ("begin",)


def test_messages_are_validated():
    view = Example()
    message = PageMessage(notes=["a"])
    assert view.postprocess(message) is message
    assert view.postprocess({"notes": ["a"]}) == message
    assert view.postprocess(None) is None
    with pytest.raises(ValidationError):
        view.postprocess({"notes": 1})
    assert "notes" in view.api_info()["properties"]


def test_only_its_own_events_exist():
    view = Example(constants={"finished": True})
    assert callable(view.begin)
    for name in ("finished", "element"):
        with pytest.raises(AttributeError, match=name):
            getattr(view, name)


def test_gradio_draws_it_as_html():
    config = Example().get_config()
    assert (config["name"], Example().get_block_name()) == ("html", "html")
    assert "detect/view.js" in config["js_on_load"]
    assert config["component_class_name"] == "Example"
