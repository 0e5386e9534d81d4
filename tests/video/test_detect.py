"""Tests detection in videos of all kinds, with every way in which it can end."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detection_core.models.catalog import ASSETS, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector
from detection_core.models.loader import ModelLoader
from detection_core.video import FrameResults, VideoOptions, VideoProgress, VideoResult, detect_video, render_video, track_objects
from detection_core.video import annotate as drawing
from detection_core.video.io import VideoError, VideoWriter, open_video
from detection_core.visualization import PALETTE, AnnotationStyle
from tests.video.io.videos import loudness, times_of
from tests.video.scenes import Finder, frames_of, make_scene

OPTIONS = VideoOptions(0.5, style=AnnotationStyle(labels=False))


@pytest.fixture(autouse=True)
def all_threads_end():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def run(path: Path, out: Path | None, options: VideoOptions = OPTIONS, **how) -> tuple[VideoResult, FrameResults]:
    records = FrameResults(open_video(path))
    detect = how.pop("detect", None) or Finder()
    return detect_video(records, detect, out, options, **{"floor": 0.1, **how}), records


def color_at(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Mean color of a little square."""
    return image[round(y) - 1 : round(y) + 1, round(x) - 1 : round(x) + 1].reshape(-1, 3).mean(axis=0)


def test_all_frames_are_found_kept_and_drawn(tmp_path):
    video = make_scene(tmp_path / "a.mp4", 12)
    result, records = run(video, tmp_path / "out.mp4")
    assert result == VideoResult(12, True, pytest.approx(1.2), tmp_path / "out.mp4", ())
    assert [record.index for record in records] == list(range(12))
    # The doubtful thing in the corner lies below the floor.
    assert all(len(record.detections) == 2 for record in records)
    assert times_of(open_video(tmp_path / "out.mp4")) == [index / 10 for index in range(12)]
    for drawn, shown in zip(frames_of(tmp_path / "out.mp4"), track_objects(records, OPTIONS), strict=True):
        for box in shown.detections.boxes:
            # The upper left corner of each box is of another color than the gray before.
            assert np.abs(color_at(drawn, box[0] + 1, box[1] + 1) - 128).max() > 30


def test_without_a_file_nothing_is_written(tmp_path):
    result, records = run(make_scene(tmp_path / "a.mp4"), None)
    assert (result.frames, result.complete, result.out, len(records)) == (12, True, None, 12)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("choice", [{"every": 3}, {"fps": 4}], ids=str)
def test_only_the_processed_frames_are_in_the_video_at_their_own_times(tmp_path, choice):
    finder = Finder()
    video = make_scene(tmp_path / "a.mp4", 20)
    run(video, tmp_path / "out.mp4", VideoOptions(0.5, **choice), detect=finder)
    expected = times_of(open_video(video), **choice)
    assert times_of(open_video(tmp_path / "out.mp4")) == expected
    assert finder.calls == len(expected) < 20


@pytest.mark.parametrize("turned", [(90, False, False), (180, False, False), (0, True, False)], ids=["left", "upside down", "mirrored"])
def test_a_turned_video_is_found_and_drawn_upright(tmp_path, turned):
    sizes = []

    def detect(image: Image.Image):
        sizes.append(image.size)
        return Finder()(image)

    video = make_scene(tmp_path / "a.mp4", 4, turned=turned)
    run(video, tmp_path / "out.mp4", detect=detect)
    assert set(sizes) == {open_video(video).size} == {open_video(tmp_path / "out.mp4").size}


def test_odd_sizes_and_uneven_times(tmp_path):
    times = [0, 40, 200, 210, 900]
    video = make_scene(tmp_path / "a.mkv", 5, codec="ffv1", pixels="bgr0", size=(97, 65), times_ms=times)
    result, records = run(video, tmp_path / "out.mp4")
    assert {record.detections.image_size for record in records} == {(65, 97)}
    assert times_of(open_video(tmp_path / "out.mp4")) == pytest.approx([time / 1000 for time in times], abs=0.002)
    assert result.complete


@pytest.mark.parametrize(
    ("options", "is_heard"), [(OPTIONS, True), (VideoOptions(0.5, every=3), True), (VideoOptions(0.5, sound=False), False)]
)
def test_sound_is_kept_in_step_unless_it_is_left_out(tmp_path, options, is_heard):
    video = make_scene(tmp_path / "a.mp4", 20, beep=(2.0, 1.2))
    run(video, tmp_path / "out.mp4", options)
    assert open_video(tmp_path / "out.mp4").has_audio is is_heard
    if is_heard:
        times, values = loudness(tmp_path / "out.mp4")
        assert times[values > 0.2][0] == pytest.approx(1.2, abs=0.06)


def test_progress_counts_and_ends_at_zero(tmp_path):
    reports: list[VideoProgress] = []
    run(make_scene(tmp_path / "a.mp4", 12), None, on_progress=reports.append)
    assert [progress.frames_done for progress in reports] == list(range(1, 13))
    assert {progress.frames_total for progress in reports} == {12}
    assert reports[-1].seconds_left == 0
    assert all(progress.fps > 0 for progress in reports)


def test_cancelled_what_is_done_is_kept(tmp_path):
    finder = Finder()
    video = make_scene(tmp_path / "a.mp4", 20, beep=(2.0, 0.1))
    result, records = run(video, tmp_path / "out.mp4", detect=finder, cancelled=lambda: finder.calls == 7)
    assert (result.frames, result.complete, result.seconds) == (7, False, pytest.approx(0.7))
    assert len(records) == 7
    written = open_video(tmp_path / "out.mp4")
    assert times_of(written) == [index / 10 for index in range(7)]
    assert loudness(tmp_path / "out.mp4")[0][-1] == pytest.approx(0.7, abs=0.06)


def test_cancelled_at_once_there_is_no_video(tmp_path):
    result, records = run(make_scene(tmp_path / "a.mp4"), tmp_path / "out.mp4", cancelled=lambda: True)
    assert (result.frames, result.complete, result.out, len(records)) == (0, False, None, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_when_the_detector_fails_what_is_done_is_kept(tmp_path, error):
    finder = Finder()

    def detect(image: Image.Image):
        if finder.calls == 6:
            raise error
        return finder(image)

    records = FrameResults(open_video(make_scene(tmp_path / "a.mp4", 20)))
    with pytest.raises(type(error)):
        detect_video(records, detect, tmp_path / "out.mp4", OPTIONS, floor=0.1)
    assert len(records) == 6
    # The last one waited for what comes after it.
    assert len(frames_of(tmp_path / "out.mp4")) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "out.mp4"]


def fail(*args, **how):
    raise VideoError("no space")


@pytest.mark.parametrize(
    ("place", "name"), [(VideoWriter, "write"), (VideoWriter, "close"), (drawing, "draw_frame")], ids=["write", "close", "draw"]
)
def test_when_the_video_fails_there_is_none(tmp_path, monkeypatch, place, name):
    monkeypatch.setattr(place, name, fail)
    video = make_scene(tmp_path / "a.mp4", 20)
    with pytest.raises(VideoError, match="no space"):
        run(video, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    if name != "close":  # Which tidies up itself.
        assert list(tmp_path.iterdir()) == [video]


def test_a_video_that_goes_away_is_an_error_of_the_reader(tmp_path):
    video = make_scene(tmp_path / "a.mp4")
    records = FrameResults(open_video(video))
    video.unlink()
    with pytest.raises(VideoError, match="no such file"):
        detect_video(records, Finder(), tmp_path / "out.mp4", OPTIONS, floor=0.1)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_tail_is_left_out_with_a_note(tmp_path):
    video = make_scene(tmp_path / "a.mp4", 60, options={"movflags": "faststart"})
    video.write_bytes(video.read_bytes()[:-1200])
    result, records = run(video, tmp_path / "out.mp4")
    assert 0 < result.frames < 60
    assert len(frames_of(tmp_path / "out.mp4")) == len(records) == result.frames
    assert any("breaks off" in note or "damaged" in note for note in result.notes)


def test_the_input_is_never_touched(tmp_path):
    video = make_scene(tmp_path / "a.mp4")
    before = video.read_bytes()
    run(video, tmp_path / "out.mp4")
    assert video.read_bytes() == before


def same_video(one: Path, other: Path) -> bool:
    # With several threads x264 does not encode the same pixels into the same bytes each time: up to 6 levels apart were seen.
    return all(np.abs(a.astype(int) - b).max() <= 12 for a, b in zip(frames_of(one), frames_of(other), strict=True))


@pytest.mark.parametrize(
    "options",
    [
        VideoOptions(0.7),
        VideoOptions(0.7, track=False),
        VideoOptions(0.5, classes=frozenset({"blue thing"})),
        VideoOptions(0.5, style=AnnotationStyle(boxes=False)),
        VideoOptions(0.3, style=AnnotationStyle(color_by="class")),
    ],
    ids=["threshold", "no tracking", "classes", "style", "class colors"],
)
def test_drawn_again_it_is_as_if_it_was_detected_so(tmp_path, options):
    video = make_scene(tmp_path / "a.mp4", 8, beep=(0.8, 0.2))
    _, records = run(video, tmp_path / "first.mp4", detect=Finder(masks=True))
    fresh, _ = run(video, tmp_path / "fresh.mp4", options, detect=Finder(masks=True))
    again = render_video(records, tmp_path / "again.mp4", options)
    assert (again.frames, again.complete, again.seconds) == (fresh.frames, fresh.complete, fresh.seconds)
    assert same_video(tmp_path / "again.mp4", tmp_path / "fresh.mp4")
    assert not same_video(tmp_path / "again.mp4", tmp_path / "first.mp4")
    assert open_video(tmp_path / "again.mp4").has_audio


def test_of_a_part_a_part_is_drawn_again(tmp_path):
    finder = Finder()
    _, records = run(make_scene(tmp_path / "a.mp4", 20), None, detect=finder, cancelled=lambda: finder.calls == 5)
    assert render_video(records, tmp_path / "again.mp4", OPTIONS).frames == 5
    assert len(frames_of(tmp_path / "again.mp4")) == 5


def test_drawing_again_can_be_cancelled_and_reports_its_progress(tmp_path):
    reports: list[VideoProgress] = []
    _, records = run(make_scene(tmp_path / "a.mp4", 20), None)
    result = render_video(records, tmp_path / "again.mp4", OPTIONS, on_progress=reports.append, cancelled=lambda: len(reports) == 4)
    assert (result.frames, result.complete, len(frames_of(tmp_path / "again.mp4"))) == (4, False, 4)


def test_other_frames_than_those_processed_cannot_be_drawn_again(tmp_path):
    _, records = run(make_scene(tmp_path / "a.mp4", 20), None)
    with pytest.raises(ValueError, match="other frames"):
        render_video(records, tmp_path / "again.mp4", VideoOptions(0.5, every=2))


@pytest.mark.parametrize(
    ("options", "colors"),
    [
        (VideoOptions(0.5), {1: PALETTE[0], 2: PALETTE[1]}),
        (VideoOptions(0.5, style=AnnotationStyle(color_by="class")), {1: PALETTE[1], 2: PALETTE[2]}),
        (VideoOptions(0.5, track=False), {1: PALETTE[1], 2: PALETTE[2]}),
    ],
    ids=["by identity", "by class", "without identity by class"],
)
def test_colors_stay_with_the_object(tmp_path, monkeypatch, options, colors):
    drawn: list[dict[int, tuple[int, int, int]]] = []

    def spy(image, detections, style, *, colors=None, ids=None):
        drawn.append(dict(zip(detections.labels.tolist(), colors or [PALETTE[label % 10] for label in detections.labels], strict=True)))
        assert colors is not None or style.color_by == "class"
        return Image.fromarray(image)

    monkeypatch.setattr(drawing, "annotate", spy)
    run(make_scene(tmp_path / "a.mp4", 6), tmp_path / "out.mp4", options)
    assert drawn == [colors] * 6


def people(index: int, size: tuple[int, int]) -> np.ndarray:
    """Two of the example images' people, who pass each other."""
    image = Image.new("RGB", size, (90, 120, 90))
    for name, left in (("grace_hopper", 8 + 6 * index), ("astronaut", 250 - 6 * index)):
        with Image.open(ASSETS / "examples" / f"{name}.jpg") as opened:
            person = opened.convert("RGB").resize((150, 190))
        shape = Image.new("L", person.size)
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, *person.size), 60, fill=255)
        image.paste(person, (left, 40), shape)
    return np.asarray(image)


def test_the_built_in_model_follows_people(tmp_path, one_thread):
    spec = get_model_spec(PERSON_MODEL)
    detector = Detector(spec, loader=ModelLoader())
    video = make_scene(tmp_path / "a.mp4", 8, draw=people, size=(416, 256))
    options = VideoOptions(spec.default_threshold)
    result, records = run(video, tmp_path / "out.mp4", options, detect=detector.detect)
    assert result.complete
    frames = list(track_objects(records, options))
    first, last = (set(frames[place].ids.tolist()) for place in (0, -1))
    assert len(first & last) >= 2
    for before, after in pairwise(frames):
        assert len(set(before.ids.tolist()) & set(after.ids.tolist())) >= 2
