from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace

import gradio as gr
import pytest

from detection_core.engine import LocalEngine
from detection_core.ui.app import build_app

TABS = ("detect", "compare", "live", "video", "batch", "evaluate", "models")


@pytest.fixture(scope="module")
def app() -> Iterator[gr.Blocks]:
    engine = LocalEngine()
    yield build_app(engine)
    engine.close()


def test_the_pages_configuration_can_be_copied(app):
    # Gradio does so for every visitor, and what cannot be copied leaves traces in the log.
    copy.deepcopy(app.config)


@pytest.mark.parametrize("tab", [*TABS, "Batch", "settings", "", None])
def test_an_address_opens_a_tab(app, tab: str | None):
    function = next(each for each in app.fns.values() if each.name == "open_link")
    opened = function.fn(SimpleNamespace(query_params={} if tab is None else {"tab": tab}, session_hash="visitor"))
    assert len(opened) == len(function.outputs)
    if tab in TABS:
        assert opened[0].constructor_args["selected"] == tab
    else:
        assert opened == (gr.skip(),) * len(opened)
