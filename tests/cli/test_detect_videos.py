"""Tests the command `detect` on videos, with a fake detector for speed."""

from __future__ import annotations

import _thread
import csv
import itertools
import json
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from detection_core.cli.main import main
from detection_core.detections import Detections
from detection_core.models.catalog import ASSETS, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector, Timings
from detection_core.video.io import VideoWriter, open_video
from tests.random_models import quick_first
from tests.video.io.videos import times_of
from tests.video.scenes import Finder, frames_of, make_scene

IMAGE = ASSETS / "examples" / "grace_hopper.jpg"


class Arm:
    """What the model does: finds colored things, and raises an error or has the user press Ctrl-C at one call."""

    def __init__(self) -> None:
        self.finder = Finder()
        self.error: BaseException | None = None
        self.fails_at = 0
        # Frames are processed in parallel, and no two may get the same number.
        self._numbers = itertools.count(1)

    def detect(self, image) -> Detections:
        if next(self._numbers) == self.fails_at and self.error is not None:
            error, self.error = self.error, None
            if not isinstance(error, KeyboardInterrupt):
                raise error
            _thread.interrupt_main()
        return self.finder(image)

    def run(self, module, spec, images, device, *, tasks) -> tuple[list[Detections], Timings]:
        return [self.detect(Image.fromarray(image)) for image in images], Timings(network=0.01)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handling of Ctrl-C, which a process that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def model(monkeypatch) -> Arm:
    arm = Arm()
    monkeypatch.setattr(Detector, "detect", lambda self, image: arm.detect(image))
    monkeypatch.setattr("detection_core.engine.passes.run", arm.run)
    return arm


@pytest.fixture
def video(tmp_path) -> Path:
    return make_scene(tmp_path / "video.mp4", 20, beep=(2.0, 0.1))


def detect(*args: object) -> int:
    return main(["detect", *map(str, args), "--model", PERSON_MODEL])


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_video_becomes_a_video_and_json(tmp_path, video, capsys):
    assert detect(video, "--out", tmp_path / "out") == 0
    assert names_in(tmp_path / "out") == ["video_detections.json", "video_detections.mp4"]
    written = open_video(tmp_path / "out" / "video_detections.mp4")
    assert times_of(written) == [index / 10 for index in range(20)]
    assert written.has_audio
    data = json.loads((tmp_path / "out" / "video_detections.json").read_text())
    assert data["file_name"] == str(video)
    assert data["provenance"]["threshold"] == get_model_spec(PERSON_MODEL).default_threshold
    assert len(data["provenance"]["revision"]) == 64
    assert {entry["track_id"] for frame in data["frames"] for entry in frame["objects"]} == {1, 2}
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{video}: 10 of 20 frames; " in captured.err
    assert f"{video}: 20 frames, 1 red thing, 1 blue thing (" in captured.err


@pytest.mark.parametrize(("choice", "frames"), [pytest.param(["--every", 4], 5, marks=pytest.mark.slow), (["--fps", 5], 10)], ids=str)
def test_fewer_frames_without_tracking_or_sound(tmp_path, video, capsys, choice, frames):
    assert detect(video, "--out", tmp_path / "out", *choice, "--no-track", "--no-sound") == 0
    written = open_video(tmp_path / "out" / "video_detections.mp4")
    assert (len(times_of(written)), written.has_audio) == (frames, False)
    data = json.loads((tmp_path / "out" / "video_detections.json").read_text())
    assert "track_id" not in data["frames"][0]["objects"][0]
    assert data["provenance"]["settings"] == {choice[0][2:]: choice[1], "tracking": False, "keypoint_threshold": 2.0}
    assert f"{video}: {frames} frames (" in capsys.readouterr().err


def test_all_formats_of_videos(tmp_path, video, capsys):
    assert detect(video, "--out", tmp_path / "out", "--format", "coco,csv,mot", "--threshold", "0.7") == 0
    out = tmp_path / "out"
    expected = ["coco_dataset.json", "detections.csv", "detections.json", "mot.txt", "provenance.json"]
    assert names_in(out) == [f"video_{name}" for name in expected]
    written = COCO(out / "video_coco_dataset.json")
    assert (written.getImgIds(), len(written.getAnnIds())) == (list(range(1, 21)), 20)
    assert written.dataset["info"]["numbering"]["ids"].startswith("Frames are numbered from 1 in the order of the video; ")
    assert "Frames are numbered from 1 in the order of the video; " in capsys.readouterr().err
    with (out / "video_detections.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {row["label"] for row in csv.DictReader(file)} == {"red thing"}


def test_only_some_classes_are_drawn_counted_and_written(tmp_path, video, model, capsys):
    finder = model.finder
    model.finder = lambda image: replace(finder(image), categories=("__background__", "person", "blue thing"))
    assert detect(video, "--out", tmp_path / "all") == 0
    assert detect(video, "--out", tmp_path / "out", "--classes", " person,", "--keypoint-threshold", "3") == 0
    data = json.loads((tmp_path / "out" / "video_detections.json").read_text())
    assert {entry["label"] for frame in data["frames"] for entry in frame["objects"]} == {"person"}
    assert data["provenance"]["settings"] == {"classes": ["person"], "tracking": True, "keypoint_threshold": 3.0}
    assert f"{video}: 20 frames, 1 person (" in capsys.readouterr().err
    before, after = (frames_of(tmp_path / folder / "video_detections.mp4")[3].astype(int) for folder in ("all", "out"))
    # The blue thing is above, the person below.
    assert np.abs(before - after)[:30].max() > 60 > np.abs(before - after)[40:].max()


def test_images_and_videos_together(tmp_path, video, capsys):
    """A phone's image and video have one name; each takes the formats that it has."""
    shutil.copy(IMAGE, tmp_path / "video.jpg")
    assert detect(video, tmp_path / "video.jpg", "--out", tmp_path / "out", "--format", "png,mp4") == 0
    assert names_in(tmp_path / "out") == [
        "video-2_detections.json",
        "video-2_detections.mp4",
        "video_detections.json",
        "video_detections.png",
    ]
    assert "frames" in json.loads((tmp_path / "out" / "video-2_detections.json").read_text())


def test_a_bad_video_is_reported_and_the_rest_is_done(tmp_path, video, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_text("this is text")
    assert detect(bad, tmp_path / "missing.mov", video, "--out", tmp_path / "out") == 1
    assert names_in(tmp_path / "out") == ["video_detections.json", "video_detections.mp4"]
    lines = capsys.readouterr().err.splitlines()
    assert f"[1/3] {bad}: This is not a video that can be read. Choose a file in MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV or GIF." in lines
    assert f"[2/3] {tmp_path / 'missing.mov'}: There is no such file. Check the name and the folder." in lines
    assert any(line.startswith(f"[3/3] {video}: 20 frames") for line in lines)


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_what_is_done_is_kept_and_reported(tmp_path, video, model, capsys):
    model.error, model.fails_at = KeyboardInterrupt(), 8
    assert detect(video, "--out", tmp_path / "out") == 130
    assert names_in(tmp_path / "out") == ["video_detections.json", "video_detections.mp4"]
    frames = len(json.loads((tmp_path / "out" / "video_detections.json").read_text())["frames"])
    assert 5 <= frames < 20
    # The tracker waits for one more frame before it shows one, and there may be one between it and the video.
    assert frames - 2 <= len(times_of(open_video(tmp_path / "out" / "video_detections.mp4"))) < frames
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [f"{video}: Not finished. The results of {frames} frames are kept.", "Interrupted."]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("The kernel is sick.\nAnd here is why"), "The kernel is sick."),
        (MemoryError(), "There is too little memory. Try a smaller image or a lighter model."),
    ],
    ids=["error", "memory"],
)
def test_a_video_that_breaks_the_model_is_reported_and_the_next_is_done(tmp_path, video, model, capsys, error, message):
    model.error, model.fails_at = error, 8
    other = make_scene(tmp_path / "other.mp4", 4)
    assert detect(video, other, "--out", tmp_path / "out") == 1
    assert len(names_in(tmp_path / "out")) == 4
    err = capsys.readouterr().err
    kept = re.search(re.escape(f"[1/2] {video}: {message} The results of ") + r"(\d+) frames are kept\.", err)
    # Frames that are processed in parallel may come to the failing call in another order.
    assert kept is not None
    assert 5 <= int(kept[1]) <= 8
    assert f"[2/2] {other}: 4 frames" in err
    assert "Traceback" not in err


def test_a_video_that_cannot_be_written_is_reported(tmp_path, video, monkeypatch, capsys):
    def full(self, image, time_s=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "write", full)
    assert detect(video, "--out", tmp_path / "out") == 1
    assert not (tmp_path / "out" / "video_detections.mp4").exists()
    assert "No space left" in capsys.readouterr().err


def test_no_input_is_written_over(tmp_path, video):
    twin = Path(shutil.copy(video, tmp_path / "video_detections.mp4"))
    before = twin.read_bytes()
    assert detect(video, twin, "--out", tmp_path) == 0
    assert twin.read_bytes() == before
    written = {"video-2_detections.json", "video-2_detections.mp4", "video_detections_detections.json", "video_detections_detections.mp4"}
    assert set(names_in(tmp_path)) == {video.name, twin.name, *written}


@pytest.mark.parametrize(("frames", "choice", "is_video"), [(4, ["--every", 1], True), (4, [], False), (1, ["--every", 1], False)], ids=str)
def test_a_gif_is_a_video_if_it_moves_and_frames_are_chosen(tmp_path, frames, choice, is_video):
    gif = make_scene(tmp_path / "a.gif", frames, codec="gif", pixels="rgb8")
    assert detect(gif, "--out", tmp_path / "out", *choice) == 0
    assert ("a_detections.mp4" in names_in(tmp_path / "out")) is is_video


@pytest.mark.parametrize("name", quick_first(["CAMERA.MTS", "a.flv", "no_ending", "a.jpg"], ["CAMERA.MTS"]))
def test_what_a_video_is_called_does_not_matter(tmp_path, name):
    made = make_scene(tmp_path / "made.mkv", 4)
    path = made.rename(tmp_path / name)
    assert detect(path, "--out", tmp_path / "out") == 0
    stem = Path(name).stem
    assert names_in(tmp_path / "out") == [f"{stem}_detections.json", f"{stem}_detections.mp4"]


@pytest.mark.parametrize("name", quick_first(["a" * 251 + ".mp4", "中" * 83 + ".mp4", "b" * 255], ["a" * 251 + ".mp4"]))
def test_a_video_of_a_long_name_has_all_its_files(tmp_path, name, capsys):
    made = make_scene(tmp_path / "made.mkv", 4)
    path = made.rename(tmp_path / name)
    assert detect(path, "--out", tmp_path / "out", "--format", "mp4,json,csv,coco,mot") == 0
    files = names_in(tmp_path / "out")
    assert len(files) == 6
    assert max(len(file.encode()) for file in files) <= 255
    assert "Errno" not in capsys.readouterr().err


@pytest.mark.slow
def test_raw_tables_of_videos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_scene(tmp_path / "=a.mp4", 4)
    for options, name in (([], "'=a.mp4"), (["--raw-csv"], "=a.mp4")):
        assert detect("=a.mp4", "--out", "out", "--format", "csv", *options) == 0
        text = (tmp_path / "out" / "=a_detections.csv").read_text("utf-8")
        assert text.startswith("\ufeff") == (not options)
        assert {row["file_name"] for row in csv.DictReader(text.removeprefix("\ufeff").splitlines())} == {name}


def test_an_image_that_is_called_like_a_video_is_an_image(tmp_path):
    path = tmp_path / "a.mp4"
    shutil.copy(IMAGE, path)
    assert detect(path, "--out", tmp_path / "out") == 0
    assert names_in(tmp_path / "out") == ["a_detections.json", "a_detections.png"]


def test_there_is_no_limit_unless_the_environment_sets_one(tmp_path, video, monkeypatch, capsys):
    monkeypatch.setenv("DETECTION_EXPLORER_MAX_VIDEO_SECONDS", "1")
    assert detect(video, "--out", tmp_path / "out") == 1
    assert "at most 1 s are allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--format", "json"], "Add --out DIR"),
        (["--out", "OUT", "--annotations", "own.json"], "Frames of videos have no ids in an annotation file: leave out --annotations."),
        (["--out", "OUT", "--format", "png"], "There is no format “png”. The formats are: json, coco, csv, mot, mp4."),
        (["--out", "OUT", "--format", "mot", "--no-track"], "leave out --no-track"),
        (["--out", "OUT", "--every", "0"], "every must be 1 or more"),
        (["--out", "OUT", "--fps", "-3"], "fps must be positive"),
        (["--out", "OUT", "--classes", "person,dgo"], "has no class “dgo”. Its classes are: person."),
        (["--out", "OUT", "--keypoint-threshold", "nan"], "keypoint_threshold must be a finite logit"),
    ],
    ids=["stdout", "annotations", "an image's format", "mot without tracking", "no frame", "negative rate", "unknown class", "no logit"],
)
def test_bad_usage_is_status_2(tmp_path, video, capsys, args, message):
    assert detect(video, *(tmp_path / "out" if arg == "OUT" else arg for arg in args)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_format_of_videos_needs_a_video(tmp_path, capsys):
    assert detect(IMAGE, "--out", tmp_path / "out", "--format", "mp4") == 2
    assert "There is no format “mp4”" in capsys.readouterr().err


@pytest.mark.parametrize("choice", [["--classes", "person"], ["--keypoint-threshold", "3"]], ids=str)
def test_what_is_for_videos_only_is_not_silently_left_out_of_images(tmp_path, video, capsys, choice):
    assert detect(video, IMAGE, "--out", tmp_path / "out", *choice) == 2
    assert "are for videos only: leave them out for images" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_and_fps_exclude_each_other(video):
    with pytest.raises(SystemExit, match="2"):
        detect(video, "--every", 2, "--fps", 3)
