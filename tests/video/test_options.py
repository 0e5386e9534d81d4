from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.video import VideoOptions, lowest_kept
from detection_core.video.io import VideoFile, VideoLimits, open_video
from tests.video.scenes import make_scene


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": -0.1},
        {"threshold": 1.1},
        {"every": 0},
        {"fps": 0},
        {"fps": float("inf")},
        {"every": 2, "fps": 5},
        {"classes": "person"},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|either"):
        VideoOptions(**{"threshold": 0.5, **wrong})


@pytest.mark.parametrize(
    ("choice", "rate"), [({}, 10), ({"every": 1}, 10), ({"every": 4}, 2.5), ({"fps": 3}, 3), ({"fps": 60}, 10)], ids=str
)
def test_the_number_of_processed_frames_is_known_before(tmp_path, choice, rate):
    video = open_video(make_scene(tmp_path / "a.mp4", 30))
    options = VideoOptions(0.5, **choice)
    assert options.rate(video) == pytest.approx(rate)
    assert options.frames(video) == pytest.approx(len(list(video.frames(**choice))), abs=1)


def test_of_a_video_without_a_frame_count_time_says_it():
    video = VideoFile(Path("a.webm"), (64, 48), 20, 25, None, False, "vp9", VideoLimits())
    assert VideoOptions(0.5).frames(video) == 500
    assert VideoOptions(0.5, every=10).frames(video) == 50


def test_of_a_longer_video_than_allowed_only_the_allowed_frames_count():
    video = VideoFile(Path("a.mp4"), (64, 48), 20, 25, 500, False, "h264", VideoLimits(max_seconds=2))
    assert VideoOptions(0.5).frames(video) == 50


@pytest.mark.parametrize(
    ("floor", "default", "threshold", "expected"),
    [(0.05, 0.5, 0.5, 0.1), (0.2, 0.4, 0.5, 0.2), (0.001, 0.1, 0.5, 0.05), (0.01, 0.5, 0.02, 0.02), (0.05, 0.5, 0.0, 0.05)],
)
def test_what_is_kept_serves_lower_thresholds_but_not_everything(floor, default, threshold, expected):
    assert lowest_kept(floor, default, threshold) == expected
