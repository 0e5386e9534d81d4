"""What the Video tab answers; tests/browser looks at the page itself."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest

from detection_core.models.catalog import PERSON_MODEL
from detection_core.ui.video.messages import VideoMessage
from detection_core.ui.video.tab import build_video_tab
from tests.ui.asynchronous import finish
from tests.ui.video_engine import VideoEngine
from tests.video.io.videos import make_video

REQUEST = SimpleNamespace(session_hash="visitor")
PATIENCE = 400


class Tab:
    """The tab, worked as a browser works it."""

    def __init__(self, folder: Path) -> None:
        self.engine = VideoEngine()
        with gr.Blocks() as page:
            self.view = build_video_tab(page, self.engine).view
        self.handlers: dict[str, Callable[..., Any]] = {function.name: function.fn for function in page.fns.values()}
        self.path = str(make_video(folder / "a.mp4"))

    def begin(self, key: str = PERSON_MODEL, **changes: Any) -> VideoMessage:
        return self.handlers["begin"](key, self.event(path=self.path, name="a.mp4", **changes), REQUEST)

    def finish(self, video: str) -> VideoMessage:
        return self.handlers["finish"](PERSON_MODEL, self.event(video=video))[1]

    def watch(self, video: str, seen: object = None) -> dict[str, Any]:
        return finish(self.view.watch({"video": video, "seen": seen}))

    def wait(self, video: str) -> list[str]:
        """Watches until it is over; all stages on the way."""
        stages, seen = [], None
        for _ in range(PATIENCE):
            seen = self.watch(video, seen)
            stages.append(seen.get("stage", "expired"))
            if stages[-1] in ("done", "failed", "cancelled", "expired"):
                return stages
        raise AssertionError(stages)

    @staticmethod
    def event(**data: Any) -> SimpleNamespace:
        return SimpleNamespace(_data=data)


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tab:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return Tab(folder)


def test_a_video_from_beginning_to_end(tab):
    start = tab.begin(rate="5", threshold=0.55).start
    assert start.kind == "detect"
    assert tab.wait(start.video)[-1] == "done"
    outcome = tab.finish(start.video).outcome
    assert (outcome.video, outcome.frames, outcome.complete, outcome.track) == (start.video, 10, True, True)
    (person,) = outcome.classes
    assert (person.name, person.plural, person.total, len(person.counts)) == ("person", "persons", 2, 10)
    again = tab.handlers["redraw"](tab.event(video=start.video, threshold=0.7, rate="1", track=False), REQUEST).start
    assert (again.kind, again.video) == ("draw", start.video)
    assert again.turn != start.turn
    assert tab.wait(start.video)[-1] == "done"
    outcome = tab.finish(start.video).outcome
    # The frames are those that were looked at.
    assert (outcome.frames, outcome.classes[0].counts, outcome.classes[0].total) == (10, [1] * 10, None)
    saved = tab.handlers["download"](tab.event(video=start.video, formats=["csv", "json"]))
    assert saved.download_name == "a_detections.zip"


def test_a_class_that_is_off_is_in_no_file(tab):
    model = "ssdlite320_mobilenet_v3_large"
    video = tab.begin(model, hidden_classes=["dog"]).start.video
    assert tab.wait(video)[-1] == "done"
    outcome = tab.finish(video).outcome
    assert [(each.name, each.total) for each in outcome.classes] == [("person", 1), ("dog", 1)]
    saved = tab.handlers["download"](tab.event(video=video, formats=["csv"])).download
    assert {row["label"] for row in csv.DictReader(Path(saved.path).read_text("utf-8-sig").splitlines())} == {"person"}


def test_work_is_watched_and_stopped(tab):
    tab.engine.gate.clear()
    video = tab.begin().start.video
    told = tab.watch(video)
    assert (told["stage"], told["error"]) == ("running", None)
    finish(tab.view.stop({"video": video}))
    tab.engine.gate.set()
    assert tab.wait(video)[-1] == "done"
    assert not tab.finish(video).outcome.complete


def test_a_visitor_who_leaves_leaves_nothing(tab):
    tab.engine.gate.clear()
    video = tab.begin().start.video
    tab.handlers["leave"](REQUEST)
    tab.engine.gate.set()
    assert "expired" in tab.watch(video)
    assert tab.finish(video).outcome is None


@pytest.mark.parametrize(
    ("key", "changes", "title"),
    [("pets", {}, "This model is gone"), (PERSON_MODEL, {"path": "/etc/passwd"}, "This video cannot be used")],
    ids=["no model", "no upload"],
)
def test_what_cannot_begin_is_told(tab, key, changes, title):
    tab.path = changes.get("path", tab.path)
    assert tab.begin(key).error.title == title


@pytest.mark.parametrize("sent", [None, "x", {"video": 3}, {"video": "guessed"}], ids=str)
def test_videos_that_are_gone_are_told(tab, sent):
    assert "Press Detect" in finish(tab.view.watch(sent))["expired"]
    assert tab.handlers["redraw"](SimpleNamespace(_data=sent), REQUEST).error.title == "The video cannot be drawn again"
    assert tab.handlers["download"](SimpleNamespace(_data=sent)).error.title == "The files cannot be written"
    finish(tab.view.stop(sent))


def test_a_model_that_must_be_downloaded_says_so(tab):
    model = tab.handlers["choose"]("ssd300_vgg16")[1].model
    assert (model.button, model.layers) == ("Download 143 MB and detect", ["boxes", "labels"])
    assert tab.handlers["choose"]("pets")[1].model is None


def test_wrong_limits_are_an_error(monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_MAX_VIDEO_SECONDS", "long")
    with pytest.raises(ValueError, match="MAX_VIDEO_SECONDS"), gr.Blocks() as page:
        build_video_tab(page, VideoEngine())
