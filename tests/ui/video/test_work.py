"""Detection in videos, drawing them again, and what is kept of them for how long."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

try:
    import resource
except ImportError:  # Not on this system.
    resource = None

from detection_core.engine import EngineBusyError, EngineError
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.jobs import VideoJob, VideoJobs
from detection_core.ui.video.work import VideoExpiredError, VideoStore, VisitorVideo, detect_objects, draw_again
from detection_core.video import VideoOptions
from detection_core.video.io import open_video
from tests.ui.fake_engine import FakeEngine, growing_crowd
from tests.video.io.videos import make_video

SPEC = get_model_spec(PERSON_MODEL)
PATIENCE = 20


@pytest.fixture
def store(tmp_path):
    return VideoStore(tmp_path / "cache")


@pytest.fixture
def video(store, tmp_path) -> VisitorVideo:
    """Twenty frames of two seconds; from the tenth on there are two persons."""
    return store.begin("visitor/video", SPEC, open_video(make_video(tmp_path / "walk.mp4")), "walk.mp4")


def make_engine() -> FakeEngine:
    return FakeEngine(growing_crowd)


def job() -> VideoJob:
    return VideoJob("visitor/video", lambda job: None)


def test_detection_gives_a_video_and_counts(video):
    engine, times = make_engine(), FrameTimes()
    detect_objects(video, VideoOptions(0.5), engine, times, job())
    drawn = video.drawn
    assert (drawn.complete, drawn.notes, len(engine.jobs), {each.keep for each in engine.submissions}) == (True, (), 20, {False})
    assert drawn.counts.counts == {"person": [1] * 9 + [2] * 11}
    assert drawn.counts.total == {"person": 2}
    assert open_video(drawn.path).frame_count == 20
    assert times.get(SPEC, (64, 48)) == pytest.approx(drawn.seconds / 20)


def test_drawing_again_asks_no_model_and_replaces_the_video(video):
    engine = make_engine()
    detect_objects(video, VideoOptions(0.5, fps=5), engine, FrameTimes(), job())
    former = video.drawn
    draw_again(video, VideoOptions(0.7, fps=5, track=False), job())
    assert len(engine.jobs) == 10
    assert video.drawn.counts.counts == {"person": [1] * 10}
    assert video.drawn.counts.total is None
    assert (video.drawn.seconds, video.drawn.complete) == (former.seconds, True)
    assert video.drawn.path.exists()
    assert not former.path.exists()


def test_classes_that_are_off_are_counted_all_the_same_to_choose_from(video):
    video.spec = get_model_spec("ssdlite320_mobilenet_v3_large")
    detect_objects(video, VideoOptions(0.5, classes=frozenset({"person"})), make_engine(), FrameTimes(), job())
    assert video.drawn.counts.total == {"person": 1, "dog": 1}
    assert video.drawn.options.classes == {"person"}
    draw_again(video, VideoOptions(0.5, classes=frozenset({"dog"})), job())
    assert video.drawn.counts.total == {"person": 1, "dog": 1}


def test_drawing_again_that_is_cancelled_leaves_the_former_video(video):
    detect_objects(video, VideoOptions(0.5), make_engine(), FrameTimes(), job())
    former, cancelled = video.drawn, job()
    cancelled._cancelled.set()
    with pytest.raises(CancelledError):
        draw_again(video, VideoOptions(0.7), cancelled)
    assert video.drawn is former
    assert [path.name for path in video.folder.glob("*.mp4")] == [former.path.name]


def test_what_is_found_before_a_failure_is_kept(video):
    engine, times = make_engine(), FrameTimes()
    engine.failures = [None] * 5 + [EngineError("The device has too little memory.")]
    detect_objects(video, VideoOptions(0.5), engine, times, job())
    assert not video.drawn.complete
    assert video.drawn.notes == ("Detection ended early. The device has too little memory.",)
    assert len(video.drawn.counts.times) == 5
    assert open_video(video.drawn.path).frame_count in (4, 5)
    assert times.get(SPEC, (64, 48)) is None


def test_a_failure_before_the_first_frame_is_one(video):
    engine = make_engine()
    engine.failures = [EngineError("no")]
    with pytest.raises(EngineError):
        detect_objects(video, VideoOptions(0.5), engine, FrameTimes(), job())
    assert video.drawn is None


def test_cancelled_detection_keeps_what_it_has(video):
    engine, jobs = make_engine(), VideoJobs()
    engine.holds = True
    running = jobs.submit(video.visitor, partial(detect_objects, video, VideoOptions(0.5), engine, FrameTimes()))
    while not engine.jobs:
        time.sleep(0.01)
    jobs.cancel(running)
    engine.release()
    assert running.wait(PATIENCE)
    assert running.state.stage == "done"
    assert not video.drawn.complete
    assert 1 <= len(video.drawn.counts.times) < 20


def test_a_busy_engine_is_waited_for(video):
    engine = make_engine()
    engine.refusals = [EngineBusyError("Too many images are waiting already.")]
    detect_objects(video, VideoOptions(0.5, fps=1), engine, FrameTimes(), job())
    assert len(video.drawn.counts.times) == 2


def test_one_video_a_visitor_is_kept(store, video):
    (video.folder / "found.records").write_text("something")
    newer = store.begin(video.visitor, SPEC, video.video, "walk.mp4")
    other = store.begin("another/video", SPEC, video.video, "walk.mp4")
    with pytest.raises(VideoExpiredError, match="Press Detect"):
        store.find(video.token)
    assert store.find(newer.token) is newer
    store.leave(video.visitor)
    assert store.find(other.token) is other
    deadline = time.monotonic() + PATIENCE
    while (video.folder.exists() or newer.folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not video.folder.exists()
    assert not newer.folder.exists()
    assert other.folder.exists()


@pytest.fixture
def sent(tmp_path, monkeypatch) -> Path:
    """A video as Gradio keeps what it is sent."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads" / "5ha256").mkdir(parents=True)
    return make_video(tmp_path / "uploads" / "5ha256" / "walk.mp4", 4)


def still_there(video: VisitorVideo) -> bool:
    """Whether the visitor's file is, once everything else of the video is gone."""
    deadline = time.monotonic() + PATIENCE
    while any(thread.name == "discard" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not video.folder.exists()
    return video.video.path.exists()


@pytest.mark.parametrize("ends", ["leaves", "begins another"])
def test_what_was_sent_goes_with_the_video(tmp_path, sent, ends):
    store = VideoStore(tmp_path / "cache", {str(sent)})
    video = store.begin("a", SPEC, open_video(sent), "walk.mp4")
    if ends == "leaves":
        store.leave("a")
    else:
        store.begin("a", SPEC, open_video(make_video(tmp_path / "other.mp4", 4)), "other.mp4")
    assert not still_there(video)


def test_what_was_sent_stays_for_another_video_of_the_same_file(tmp_path, sent):
    store = VideoStore(tmp_path / "cache", {str(sent)})
    first = store.begin("a", SPEC, open_video(sent), "walk.mp4")
    other = store.begin("b", SPEC, open_video(sent), "walk.mp4")
    store.leave("a")
    assert still_there(first)
    # The same visitor chooses another model.
    again = store.begin("b", SPEC, open_video(sent), "walk.mp4")
    assert still_there(other)
    store.leave("b")
    assert not still_there(again)


def test_a_file_that_was_just_sent_again_stays(tmp_path, sent):
    store = VideoStore(tmp_path / "cache", {str(sent)})
    video = store.begin("a", SPEC, open_video(sent), "walk.mp4")
    shutil.copy(sent, tmp_path / "sending")
    (tmp_path / "sending").rename(sent)
    store.leave("a")
    assert still_there(video)


def test_what_was_sent_is_kept_while_its_visitor_is_there(tmp_path, sent):
    store = VideoStore(tmp_path / "cache", {str(sent)}, capacity=1)
    video = store.begin("a", SPEC, open_video(sent), "walk.mp4")
    store.begin("b", SPEC, open_video(make_video(tmp_path / "other.mp4", 4)), "other.mp4")
    assert still_there(video)


def test_a_file_that_was_not_uploaded_is_never_deleted(tmp_path, sent):
    elsewhere = make_video(tmp_path / "walk.mp4", 4)
    for file, sent_files in ((sent, {str(tmp_path / "uploads" / "a.mp4")}), (elsewhere, {str(elsewhere)})):
        store = VideoStore(tmp_path / "cache", sent_files)
        video = store.begin("a", SPEC, open_video(file), "walk.mp4")
        store.leave("a")
        assert still_there(video)


@pytest.mark.parametrize("token", [None, 3, "guessed", ["x"]], ids=str)
def test_names_are_not_trusted(store, token):
    with pytest.raises(VideoExpiredError):
        store.find(token)


def test_videos_do_not_pile_up(tmp_path, video):
    store = VideoStore(tmp_path / "cache", capacity=2)
    first, second, third = (store.begin(visitor, SPEC, video.video, "a.mp4") for visitor in "abc")
    assert [store.find(each.token) for each in (second, third)] == [second, third]
    with pytest.raises(VideoExpiredError):
        store.find(first.token)


def test_files_in_use_are_known_by_their_video(tmp_path, video):
    store = VideoStore(tmp_path / "kept")
    kept = store.begin("someone", SPEC, video.video, "walk.mp4")
    assert store.files() == {video.video.path: kept.token, kept.folder: kept.token}
    kept.job = VideoJob("someone", lambda job: None)
    assert set(store.files().values()) == {None}


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file of this process can become larger, as on a disk that is full; without being root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(resource is None, reason="needs limits on files")
@pytest.mark.parametrize("most", [0, 300, 2000])
def test_a_disk_that_is_full_is_reported_and_the_next_job_succeeds(store, video, most):
    engine, jobs = make_engine(), VideoJobs()
    work = partial(detect_objects, video, VideoOptions(0.5), engine, FrameTimes())
    with full_disk(most):
        failed = jobs.submit(video.visitor, work)
        assert failed.wait(PATIENCE)
    assert failed.state.stage == "failed"
    assert re.search("could not be written|cannot write its files", str(failed.state.error))
    assert not list(video.folder.glob("*.mp4")) + list(video.folder.glob(".*.part"))
    again = jobs.submit(video.visitor, work)
    assert again.wait(PATIENCE)
    assert again.state.stage == "done"
    store.leave(video.visitor)
    # Only the visitor's own file, which was not uploaded here.
    assert still_there(video)
