"""Facts about a video before detection."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.engine import EngineError
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.models.detector import Timings
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.inspection import inspect_video, time_model
from detection_core.video.io import VideoLimits
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine
from tests.video.io.videos import make_video

LIMITS = VideoLimits(max_seconds=5)


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def inspect(path: object) -> dict:
    return finish(inspect_video({"path": path}, LIMITS))


def test_the_facts_of_a_video(uploads):
    facts = inspect(str(make_video(uploads / "a.mp4", beep=(2, 1))))["facts"]
    poster = facts.pop("poster")
    assert poster.startswith("data:image/jpeg;base64,")
    known = {"width": 64, "height": 48, "seconds": 2.0, "fps": 10.0, "frames": 20, "sound": True, "codec": "h264", "notes": []}
    assert facts == known


def test_videos_that_cannot_be_used_say_why(uploads, tmp_path):
    outside = make_video(tmp_path / "outside.mp4")
    text = uploads / "text.mp4"
    text.write_text("this is text")
    long = make_video(uploads / "long.mp4", 60)
    assert "no longer on the server" in inspect(str(outside))["error"]
    assert "no longer on the server" in inspect(f"{uploads}/../outside.mp4")["error"]
    assert "not a video" in inspect(str(text))["error"]
    assert "at most 5 s" in inspect(str(long))["error"]


@pytest.mark.parametrize("sent", [None, 3, "x" * 10_000, "\0", ["a"]], ids=["none", "number", "long", "zero", "list"])
def test_paths_are_not_trusted(uploads, sent):
    assert "no longer on the server" in inspect(sent)["error"]


def test_a_model_is_timed_once(uploads):
    sent = {"path": str(make_video(uploads / "a.mp4")), "model": PERSON_MODEL}
    engine, times = FakeEngine(timings=Timings(network=0.02)), FrameTimes()
    first, again = (finish(time_model(sent, engine, times, LIMITS)) for _ in range(2))
    # 20 ms in the engine.
    assert first == again == {"seconds": pytest.approx(0.023)}
    assert len(engine.jobs) == 1


@pytest.mark.parametrize(
    "changes",
    [{"model": "ssd300_vgg16"}, {"model": "pets"}, {"model": 3}, {"path": "gone.mp4"}, {}],
    ids=["to download", "unknown", "no key", "no file", "failing"],
)
def test_unknown_times_are_left_out(uploads, changes):
    engine, times = FakeEngine(timings=Timings(network=0.02)), FrameTimes()
    engine.failures = [EngineError("no")]
    sent = {"path": str(make_video(uploads / "a.mp4")), "model": PERSON_MODEL} | changes
    assert finish(time_model(sent, engine, times, LIMITS)) == {}
    assert times.get(get_model_spec(PERSON_MODEL), (64, 48)) is None
