"""The Video tab's handlers; tests/browser runs the page itself."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest

from detection_core.models.catalog import PERSON_MODEL
from detection_core.ui.video.messages import VideoMessage
from detection_core.ui.video.tab import VideoTab
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine, growing_crowd
from tests.video.io.videos import make_video

REQUEST = SimpleNamespace(session_hash="visitor")
PATIENCE = 400


class Visit:
    """A visitor in the tab with a video."""

    def __init__(self, folder: Path) -> None:
        self.engine = FakeEngine(growing_crowd)
        self.tab = VideoTab(self.engine)
        with gr.Blocks() as page:
            self.tab.layout()
            self.tab.wire(page)
        self.path = str(make_video(folder / "a.mp4"))

    def begin(self, key: str = PERSON_MODEL, **changes: Any) -> VideoMessage:
        return self.tab.begin(key, self.event(path=self.path, name="a.mp4", **changes), REQUEST)

    def outcome(self, video: str) -> VideoMessage:
        return self.tab.show_outcome(PERSON_MODEL, self.event(video=video))[1]

    def watch(self, video: str, seen: object = None) -> dict[str, Any]:
        return finish(self.tab.watch({"video": video, "seen": seen}))

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
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return Visit(folder)


def test_a_video_from_beginning_to_end(visit):
    start = visit.begin(rate="5", threshold=0.55).start
    assert start.kind == "detect"
    assert visit.wait(start.video)[-1] == "done"
    outcome = visit.outcome(start.video).outcome
    assert (outcome.video, outcome.frames, outcome.complete, outcome.track) == (start.video, 10, True, True)
    (person,) = outcome.classes
    assert (person.name, person.plural, person.total, len(person.counts)) == ("person", "persons", 2, 10)
    again = visit.tab.redraw(visit.event(video=start.video, threshold=0.7, rate="1", track=False), REQUEST).start
    assert (again.kind, again.video) == ("draw", start.video)
    assert again.turn != start.turn
    assert visit.wait(start.video)[-1] == "done"
    outcome = visit.outcome(start.video).outcome
    # The frames are those of the detection.
    assert (outcome.frames, outcome.classes[0].counts, outcome.classes[0].total) == (10, [1] * 10, None)
    saved = visit.tab.download(visit.event(video=start.video, formats=["csv", "json"]))
    assert saved.download_name == "a_detections.zip"


def test_a_class_that_is_off_is_in_no_file(visit):
    model = "ssdlite320_mobilenet_v3_large"
    video = visit.begin(model, hidden_classes=["dog"]).start.video
    assert visit.wait(video)[-1] == "done"
    outcome = visit.outcome(video).outcome
    assert [(each.name, each.total) for each in outcome.classes] == [("person", 1), ("dog", 1)]
    saved = visit.tab.download(visit.event(video=video, formats=["csv"])).download
    assert {row["label"] for row in csv.DictReader(Path(saved.path).read_text("utf-8-sig").splitlines())} == {"person"}


def test_work_is_watched_and_stopped(visit):
    visit.engine.holds = True
    video = visit.begin().start.video
    response = visit.watch(video)
    assert (response["stage"], response["error"]) == ("running", None)
    finish(visit.tab.stop({"video": video}))
    visit.engine.release()
    assert visit.wait(video)[-1] == "done"
    assert not visit.outcome(video).outcome.complete


def test_nothing_stays_of_a_visitor_who_leaves(visit):
    visit.engine.holds = True
    video = visit.begin().start.video
    visit.tab.leave(REQUEST)
    visit.engine.release()
    assert "expired" in visit.watch(video)
    assert visit.outcome(video).outcome is None


@pytest.mark.parametrize(
    ("key", "changes", "title"),
    [
        ("pets", {}, "There is no model “pets” here"),
        ("ssd300_vgg16@480px", {}, "The model does not run like this"),
        (PERSON_MODEL, {"path": "/etc/passwd"}, "This video cannot be used"),
    ],
    ids=["no model", "no such size", "no upload"],
)
def test_what_cannot_begin_is_an_error(visit, key, changes, title):
    visit.path = changes.get("path", visit.path)
    assert visit.begin(key).error.title == title


@pytest.mark.parametrize("sent", [None, "x", {"video": 3}, {"video": "guessed"}], ids=str)
def test_expired_videos_are_an_error(visit, sent):
    assert "Press Detect" in finish(visit.tab.watch(sent))["expired"]
    assert visit.tab.redraw(SimpleNamespace(_data=sent), REQUEST).error.title == "The video cannot be drawn again"
    assert visit.tab.download(SimpleNamespace(_data=sent)).error.title == "The files cannot be written"
    finish(visit.tab.stop(sent))


def test_a_model_that_must_be_downloaded_says_so(visit):
    model = visit.tab.show_model("ssd300_vgg16")[1].model
    assert (model.button, model.layers) == ("Download 143 MB and detect", ["boxes", "labels"])
    assert visit.tab.show_model("pets")[1].model is None


def test_wrong_limits_are_an_error(monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_MAX_VIDEO_SECONDS", "long")
    with pytest.raises(ValueError, match="MAX_VIDEO_SECONDS"):
        VideoTab(FakeEngine())
