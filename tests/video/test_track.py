from __future__ import annotations

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.video import FrameResults, VideoOptions, track_objects
from detection_core.video.io import open_video
from tests.video.scenes import CATEGORIES, SIZE, Finder, facts, make_scene, records_of


@pytest.fixture
def video(tmp_path):
    return make_scene(tmp_path / "a.mp4", 12)


def made(video, frames: list[list[tuple[float, float]]], fps: float = 10) -> FrameResults:
    """Records of things of 16 pixels, each given by its left edge and its score."""
    records = FrameResults(open_video(video))
    for index, things in enumerate(frames):
        boxes = np.array([(left, 20, left + 16, 40) for left, _ in things], np.float32).reshape(-1, 4)
        scores = np.array([score for _, score in things], np.float32)
        records.append(index, index / fps, Detections(boxes, np.ones(len(things), np.int64), scores, SIZE[::-1], CATEGORIES))
    return records


def test_without_tracking_the_threshold_decides(video):
    frames = list(track_objects(records_of(video), VideoOptions(0.7, track=False)))
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == [index / 10 for index in range(12)]
    assert all(frame.ids is None and frame.detections.names == ["red thing"] for frame in frames)


def test_identities_persist_from_the_first_frame_to_the_last(video):
    frames = list(track_objects(records_of(video), VideoOptions(0.5)))
    assert len(frames) == 12
    assert {(frame.index, name, number) for frame in frames for name, number in zip(frame.detections.names, frame.ids, strict=True)} == {
        (index, name, number) for index in range(12) for name, number in (("red thing", 1), ("blue thing", 2))
    }


def test_objects_and_their_identities_stay_in_the_order_of_scores(video):
    records = made(video, [[(60, 0.9)], [(60, 0.8), (10, 0.7)], [(10, 0.9), (60, 0.7)], [(60, 0.9), (10, 0.6)]])
    shown = [(frame.ids.tolist(), frame.detections.boxes[:, 0].round().tolist()) for frame in track_objects(records, VideoOptions(0.5))]
    assert shown == [([1], [60]), ([1, 2], [60, 10]), ([2, 1], [10, 60]), ([1, 2], [60, 10])]


def test_a_newcomer_is_shown_from_its_first_frame_on(video):
    records = made(video, [[], [], [(10, 0.9)], [(12, 0.9)], [(14, 0.9)]])
    assert [frame.ids.tolist() for frame in track_objects(records, VideoOptions(0.5))] == [[], [], [1], [1], [1]]


def test_what_is_seen_only_once_is_not_shown(video):
    records = made(video, [[(50, 0.9)], [(10, 0.9)], [(12, 0.9)], [(14, 0.9), (70, 0.9)]])
    frames = list(track_objects(records, VideoOptions(0.5)))
    assert [frame.ids.tolist() for frame in frames] == [[], [1], [1], [1]]


def test_of_few_frames_a_second_each_counts(video):
    records = made(video, [[(50, 0.9)], [(10, 0.9)]], fps=2)
    assert [len(frame.ids) for frame in track_objects(records, VideoOptions(0.5, fps=2))] == [1, 1]
    assert [len(frame.ids) for frame in track_objects(records, VideoOptions(0.5, every=5))] == [1, 1]


def test_one_that_is_known_may_fall_below_the_threshold(video):
    records = made(video, [[(10, 0.9)], [(12, 0.9)], [(14, 0.3)], [(16, 0.05)]])
    assert [frame.ids.tolist() for frame in track_objects(records, VideoOptions(0.5))] == [[1], [1], [1], []]
    assert [len(frame.detections) for frame in track_objects(records, VideoOptions(0.5, track=False))] == [1, 1, 0, 0]
    # A threshold below 0.1 is meant as it is.
    assert [frame.ids.tolist() for frame in track_objects(records, VideoOptions(0.04))] == [[1], [1], [1], [1]]


def test_newcomers_find_their_own_past(video):
    """Two appear at once beside one that is known; each gets its own first box."""
    records = made(video, [[(0, 0.9)], [(0, 0.9)], [(0, 0.9), (30, 0.8), (70, 0.7)], [(0, 0.9), (72, 0.8), (32, 0.7)]])
    third = list(track_objects(records, VideoOptions(0.5)))[2]
    by_id = dict(zip(third.ids.tolist(), third.detections.boxes[:, 0].tolist(), strict=True))
    fourth = list(track_objects(records, VideoOptions(0.5)))[3]
    assert by_id[1] == pytest.approx(0, abs=0.5)
    for number, left in zip(fourth.ids.tolist(), fourth.detections.boxes[:, 0].tolist(), strict=True):
        assert by_id[number] == pytest.approx(left, abs=3)


@pytest.mark.parametrize("track", [True, False], ids=["followed", "not followed"])
def test_classes_that_are_not_shown_leave_the_others_as_they_are(video, track):
    records = records_of(video, Finder(masks=True))
    everything = list(track_objects(records, VideoOptions(0.5, track=track)))
    blue = list(track_objects(records, VideoOptions(0.5, track=track, classes=frozenset({"blue thing", "green thing"}))))
    assert all(frame.detections.names == ["blue thing"] for frame in blue)
    for some, frame in zip(blue, everything, strict=True):
        assert some.detections.boxes.tolist() == frame.detections.boxes[1:].tolist()
        assert some.ids is None if frame.ids is None else some.ids.tolist() == frame.ids[1:].tolist() == [2]
    assert [len(frame.detections) for frame in track_objects(records, VideoOptions(0.5, track=track, classes=frozenset()))] == [0] * 12


def test_following_again_gives_the_same(video):
    records, options = records_of(video, Finder(masks=True)), VideoOptions(0.5)
    first, second = ([facts(frame) for frame in track_objects(records, options)] for _ in range(2))
    assert first == second


def test_nothing_follows_from_nothing(video):
    assert list(track_objects(FrameResults(open_video(video)), VideoOptions(0.5))) == []
