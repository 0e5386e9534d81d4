"""Messages to a LiveView and values from it; tests/browser runs it in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.live import view as live_view
from detection_core.ui.live.view import LiveMessage, LiveView, live_error, live_start

FOLDER = Path(live_view.__file__).parent


async def frame(sent: Any) -> None:
    """Answers nothing."""


async def end(sent: Any) -> None:
    """Does nothing."""


def test_start_says_everything_that_frames_do_not() -> None:
    spec = get_model_spec(PERSON_MODEL)
    start = live_start("turn", "stream", spec).start
    assert start is not None
    assert (start.turn, start.stream, start.model.key, start.model.title) == ("turn", "stream", spec.key, spec.title)
    assert (start.threshold, start.floor) == (spec.default_threshold, spec.min_score)
    assert (start.categories["1"].name, start.categories["1"].plural) == ("person", "persons")
    assert start.tasks == ["boxes", "masks", "keypoints"]
    assert start.sides == (320, 512)
    sides = {(start.keypoint_names[a], start.keypoint_names[b]): side for a, b, side in start.edges}
    assert sides["left_knee", "left_hip"] == "left"


def test_a_model_without_keypoints_has_no_limbs() -> None:
    start = live_start("turn", "stream", get_model_spec("ssdlite320_mobilenet_v3_large")).start
    assert start is not None
    assert start.sides == (320, None)
    assert (start.tasks, start.edges, start.keypoint_names) == (["boxes"], [], [])


def test_component_speaks_messages_and_names_of_streams() -> None:
    view = LiveView(frame, end)
    message = live_error("Title", "Text")
    assert view.postprocess(message) is message
    assert view.postprocess(None) is None
    assert view.preprocess(None) == ""
    assert view.preprocess(LiveMessage.model_validate("")) == ""
    assert view.preprocess(LiveMessage.model_validate({"stream": "a", "view": "v"})) == "a"
    assert "stream" in view.api_info()["properties"]


@pytest.mark.parametrize("event", ["begin", "finished", "snapshot"])
def test_component_has_the_event(event: str) -> None:
    assert callable(getattr(LiveView(frame, end), event))


def test_the_browser_may_call_both_functions() -> None:
    assert {fn["name"] if isinstance(fn, dict) else getattr(fn, "__name__", fn) for fn in LiveView(frame, end).server_fns} == {
        "frame",
        "end",
    }


@pytest.mark.parametrize("name", ["view.css", "view.html"])
def test_templates_hold_nothing_that_gradio_would_interpret(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not [mark for mark in ("`", "\\", "${", "{{", "}}") if mark in text]
