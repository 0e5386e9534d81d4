"""Tests that videos of every kind are read upright, in order and at their times, and that unreadable ones result in a clear error."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.images.limits import ImageLimits
from detection_core.video.io import VideoError, VideoLimits, open_video
from tests.video.io.videos import make_image, make_video, times_of

TENTHS = [index / 10 for index in range(20)]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plain.mp4", {}),
        ("plain.mov", {}),
        ("motion.avi", {"codec": "mpeg4"}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("stream.ts", {}),
        ("ten_bits.mp4", {"pixels": "yuv420p10le"}),
        ("full_chroma.mp4", {"pixels": "yuv444p"}),
        ("gray.mkv", {"codec": "ffv1", "pixels": "gray"}),
        ("animated.gif", {"codec": "gif", "pixels": "rgb8"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_format_gives_all_frames_at_their_times(tmp_path, name, how):
    video = open_video(make_video(tmp_path / name, **how))
    assert video.size == (64, 48)
    assert video.duration == pytest.approx(2, abs=0.01)
    assert video.fps == pytest.approx(10)
    assert video.frame_count in (20, None)
    assert not video.has_audio
    assert times_of(video) == TENTHS
    assert video.notes == []


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_colors_are_those_of_the_video(tmp_path, pixels):
    for frame in open_video(make_video(tmp_path / "a.mp4", pixels=pixels)).frames():
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        error = np.abs(frame.image.astype(int) - make_image(frame.index))
        assert np.median(error) <= 4


@pytest.mark.parametrize(
    ("turned", "upright"),
    [
        ((90, False, False), lambda image: np.rot90(image)),
        ((180, False, False), lambda image: np.rot90(image, 2)),
        ((-90, False, False), lambda image: np.rot90(image, -1)),
        ((0, True, False), lambda image: image[:, ::-1]),
        ((0, False, True), lambda image: image[::-1]),
        ((90, True, False), lambda image: np.rot90(image)[:, ::-1]),
    ],
    ids=["left", "upside down", "right", "mirrored", "flipped", "turned and mirrored"],
)
def test_frames_are_turned_as_the_camera_was_held(tmp_path, turned, upright):
    video = open_video(make_video(tmp_path / "a.mp4", 2, turned=turned))
    expected = upright(make_image(0))
    image = next(video.frames()).image
    assert video.size == (expected.shape[1], expected.shape[0])
    assert image.shape == expected.shape
    assert np.median(np.abs(image.astype(int) - expected)) <= 4


def test_pixels_become_square(tmp_path):
    video = open_video(make_video(tmp_path / "a.mp4", 2, pixel_aspect=Fraction(3, 2)))
    assert video.size == (96, 48)
    assert next(video.frames()).image.shape == (48, 96, 3)


def test_odd_sizes_stay(tmp_path):
    video = open_video(make_video(tmp_path / "a.mp4", 2, size=(63, 47), pixels="yuv444p"))
    assert video.size == (63, 47)
    assert next(video.frames()).image.shape == (47, 63, 3)


UNEVEN = [0, 100, 400, 500, 2000, 2100]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [0, 0.1, 0.4, 0.5, 2.0, 2.1]),
        ({"every": 2}, [0, 0.4, 2.0]),
        ({"every": 4}, [0, 2.0]),
        ({"fps": 2}, [0, 0.5, 2.0]),
        ({"fps": 10}, [0, 0.1, 0.4, 0.5, 2.0, 2.1]),
        ({"fps": 100}, [0, 0.1, 0.4, 0.5, 2.0, 2.1]),
    ],
    ids=str,
)
def test_uneven_frames_are_chosen_by_their_times(tmp_path, choice, expected):
    video = open_video(make_video(tmp_path / "a.mp4", 6, times_ms=UNEVEN))
    assert video.duration == pytest.approx(2.2, abs=0.1)
    assert times_of(video, **choice) == expected


def test_a_lower_rate_is_even(tmp_path):
    video = open_video(make_video(tmp_path / "a.mp4", 60, fps=30))
    assert times_of(video, fps=10) == TENTHS
    assert len(times_of(video, fps=25)) == 50
    assert [frame.index for frame in video.frames(fps=10)] == list(range(0, 60, 3))


def test_reading_begins_anew_each_time_and_may_be_left(tmp_path):
    video = open_video(make_video(tmp_path / "a.mp4"))
    frames = video.frames()
    next(frames)
    frames.close()
    assert times_of(video) == TENTHS


@pytest.mark.parametrize("choice", [{"every": 0}, {"fps": 0}, {"fps": float("inf")}, {"every": 2, "fps": 2}], ids=str)
def test_senseless_choices_are_refused(tmp_path, choice):
    video = open_video(make_video(tmp_path / "a.mp4", 2))
    with pytest.raises(ValueError, match="every"):
        video.frames(**choice)


def test_sound_is_seen_and_its_length_is_not_the_videos(tmp_path):
    for name, how in {"a.mp4": {}, "a.webm": {"codec": "libvpx-vp9", "sound_codec": "libopus"}}.items():
        video = open_video(make_video(tmp_path / name, beep=(4, 0), **how))
        assert video.has_audio
        assert video.duration == pytest.approx(2, abs=0.01)
        assert times_of(video) == TENTHS
        assert video.notes == []


def test_a_length_that_the_file_does_not_say_is_measured(tmp_path):
    path = make_video(tmp_path / "recorded.webm", codec="libvpx-vp9", options={"live": "1"})
    video = open_video(path)
    assert (video.duration, video.frame_count) == (pytest.approx(2, abs=0.01), 20)
    with pytest.raises(VideoError, match="lasts 2 s"):
        open_video(path, VideoLimits(max_seconds=1))


def cut(path: Path, part: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.mp4", {"options": {"movflags": "+faststart"}}), ("a.webm", {"codec": "libvpx-vp9"})],
    ids=["mp4", "webm"],
)
def test_a_cut_end_is_noted(tmp_path, name, how):
    video = open_video(cut(make_video(tmp_path / name, 100, size=(320, 240), **how), 0.66))
    times = times_of(video)
    assert times == [index / 10 for index in range(len(times))]
    assert 40 < len(times) < 90
    assert any("breaks off" in note for note in video.notes)
    noted = list(video.notes)
    list(video.frames())
    assert video.notes == noted


def test_damage_in_the_middle_is_left_out(tmp_path):
    path = make_video(tmp_path / "a.mp4", 100, size=(320, 240), options={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 4
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(data)
    video = open_video(path)
    times = times_of(video)
    assert times[-1] == 9.9
    assert 80 < len(times) < 100
    assert any("left out" in note for note in video.notes)


def text(path: Path) -> None:
    path.write_text("There is no video in here.\n" * 20)


def sound_only(path: Path) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def of_unknown_compression(path: Path) -> None:
    make_video(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.mp4", text, "not a video"),
        ("a.mp4", lambda path: path.write_bytes(b""), "empty"),
        ("a.mp4", lambda path: None, "no such file"),
        ("a.mp4", lambda path: path.mkdir(), "folder"),
        ("a.mp4", lambda path: make_video(path, 0), "no video"),
        ("a.mp4", lambda path: cut(make_video(path, 50), 0.9), "damaged"),
        ("a.m4a", sound_only, "sound but no video"),
        ("a.mp4", of_unknown_compression, "not supported"),
        ("a.png", lambda path: Image.new("RGB", (64, 64)).save(path), "not a video"),
        ("a.m3u8", lambda path: path.write_text("#EXTM3U\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n"), "not a video"),
        ("a.mp4", lambda path: path.write_text("ffconcat version 1.0\nfile other.mp4\n"), "not a video"),
    ],
    ids=["text", "empty", "missing", "folder", "no frames", "no index", "sound", "codec", "image", "playlist", "script"],
)
def test_what_cannot_be_read_is_explained(tmp_path, name, make, message):
    make_video(tmp_path / "other.mp4")
    path = tmp_path / name
    make(path)
    with pytest.raises(VideoError, match=message) as caught:
        open_video(path)
    assert str(tmp_path) not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.avi"])
def test_titles_may_be_in_any_encoding(tmp_path, name):
    codec = {"a.webm": "libvpx-vp9", "a.avi": "mpeg4"}.get(name, "libx264")
    path = make_video(tmp_path / name, 5, codec=codec)
    data = path.read_bytes()
    # FFmpeg writes its own name into every file.
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xe4\xff\xf6f"))
    assert len(list(open_video(path).frames())) == 5


def test_an_address_is_no_file():
    with pytest.raises(VideoError, match="no such file"):
        open_video("http://127.0.0.1:9/a.mp4")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (VideoLimits(max_seconds=1), "lasts 2 s; at most 1 s"),
        (VideoLimits(max_bytes=100), "MB are allowed"),
        (VideoLimits(frame=ImageLimits(max_pixels=1000)), "The video has 64 × 48 pixels"),
        (VideoLimits(frame=ImageLimits(max_side=50)), "a side may have at most 50"),
    ],
    ids=["length", "bytes", "pixels", "side"],
)
def test_limits_are_checked_before_the_work(tmp_path, limits, message):
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match=message):
        open_video(path, limits)


def test_a_video_longer_than_it_says_is_read_to_the_limit(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    video = open_video(path, VideoLimits(max_seconds=2))
    make_video(path, 60)
    assert times_of(video)[-1] == 2.0
    assert video.notes == ["Only the first 2 s are used."]


def test_limits_come_from_the_environment():
    names = ("DETECTION_EXPLORER_MAX_VIDEO_SECONDS", "DETECTION_EXPLORER_MAX_VIDEO_MEGABYTES")
    limits = VideoLimits.from_environment(dict(zip(names, ("90", "2.5"), strict=True)))
    assert (limits.max_seconds, limits.max_bytes) == (90, 2_500_000)
    assert VideoLimits.from_environment({}) == VideoLimits()
    mine = VideoLimits(max_seconds=math.inf, max_bytes=10)
    assert VideoLimits.from_environment({}, mine) == mine
    assert VideoLimits.from_environment({names[0]: "90"}, mine) == VideoLimits(max_seconds=90, max_bytes=10)
    for name in names:
        with pytest.raises(ValueError, match=name):
            VideoLimits.from_environment({name: "-1"})


GROWTH = """
import resource, sys
from detection_core.video.io import VideoWriter, open_video
def peak(path):
    with VideoWriter(sys.argv[2], (480, 360), 30, audio_from=path) as writer:
        for frame in open_video(path).frames():
            writer.write(frame.image, frame.time_s)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
short = peak(sys.argv[1])
print((peak(sys.argv[3]) - short) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in Linux's unit")
@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path):
    short = make_video(tmp_path / "short.mp4", 75, size=(480, 360), codec="mpeg4", fps=30, beep=(2, 0))
    long = make_video(tmp_path / "long.mp4", 300, size=(480, 360), codec="mpeg4", fps=30, beep=(10, 0))
    command = [sys.executable, "-c", GROWTH, str(short), str(tmp_path / "out.mp4"), str(long)]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # All frames of the long one would take 155 MB.
    assert grown < 25
