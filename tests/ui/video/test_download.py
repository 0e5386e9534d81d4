"""Which files a visitor gets of a video."""

from __future__ import annotations

import zipfile

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.video.download import NothingToSaveError, save_video
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.ui.video.jobs import VideoJob
from detection_core.ui.video.work import VideoExpiredError, VideoStore, VisitorVideo, detect_objects
from detection_core.video import VideoOptions
from detection_core.video.io import open_video
from tests.ui.fake_engine import FakeEngine, growing_crowd
from tests.video.io.videos import make_video


def detected(tmp_path, *, track: bool = True) -> VisitorVideo:
    store = VideoStore(tmp_path / "cache")
    video = store.begin("visitor", get_model_spec(PERSON_MODEL), open_video(make_video(tmp_path / "a.mp4", 6)), "Holiday/my walk.mov")
    detect_objects(video, VideoOptions(0.5, track=track), FakeEngine(growing_crowd), FrameTimes(), VideoJob("visitor", lambda job: None))
    return video


def test_one_format_is_a_file_of_its_own(tmp_path):
    video = detected(tmp_path)
    assert save_video(video, ["mp4"]) == (video.drawn.path, "my walk_detections.mp4")
    path, name = save_video(video, ["mot"])
    assert (name.startswith("my walk_"), name.endswith(".txt")) == (True, True) or name.endswith(".zip")
    assert path.is_relative_to(video.folder)


def test_several_formats_are_an_archive(tmp_path):
    path, name = save_video(detected(tmp_path), ["mp4", "json", "coco", "csv", "mot"])
    assert name == "my walk_detections.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert {"my walk_detections.mp4", "my walk_detections.json"} <= set(names)
    assert len([each for each in names if each.endswith((".mp4", ".json", ".csv", ".txt"))]) >= 5


def test_without_tracks_there_is_no_mot(tmp_path):
    video = detected(tmp_path, track=False)
    with pytest.raises(NothingToSaveError, match="at least one format"):
        save_video(video, ["mot"])
    with zipfile.ZipFile(save_video(video, ["mp4", "csv", "mot"])[0]) as archive:
        assert not [name for name in archive.namelist() if "mot" in name]


def test_a_missing_video_is_an_error(tmp_path):
    video = detected(tmp_path)
    video.drawn.path.unlink()
    with pytest.raises(VideoExpiredError):
        save_video(video, ["csv"])
