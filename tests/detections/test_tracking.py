"""Tests the tracker in synthetic scenes with known ids."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.detections.tracking import Counts, Tracker
from tests.factories import make_detections

STEP = 1 / 15
CATEGORIES = ("__background__", "person", "dog")


def frame(*objects, image_size=(480, 640), categories=CATEGORIES):
    """Objects as (center x, center y, width, height, score, class name); the last four may be left out."""
    full = [(*found, *(60, 120, 0.9, "person")[len(found) - 2 :]) for found in objects]
    boxes = [[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h, *_ in full]
    labels = [categories.index(name) for *_, name in full]
    return Detections(np.array(boxes).reshape(-1, 4), labels, [found[4] for found in full], image_size, categories)


def scored(*scores, x=300):
    """People side by side with these scores."""
    return frame(*[(x + 150 * place, 200, 60, 120, score) for place, score in enumerate(scores)])


def follow(tracker, frames, times=None):
    """Ids of each frame, left to right."""
    ids = []
    for number, detections in enumerate(frames):
        tracked = tracker.update(detections, number * STEP if times is None else times[number])
        ids.append(tracked.ids[np.argsort(tracked.detections.boxes[:, 0], kind="stable")].tolist())
    return ids


def id_at(tracked, x):
    """Id of the object whose center is at x, in pixels; it must be the only one within 10."""
    centers = tracked.detections.boxes[:, [0, 2]].mean(axis=1)
    (found,) = np.flatnonzero(abs(centers - x) < 10)
    return int(tracked.ids[found])


@pytest.mark.parametrize("keypoints", [True, [1], [2]], ids=["all have keypoints", "persons only", "dogs only"])
def test_objects_keep_their_keypoints_or_go_without(keypoints):
    tracker, detections = Tracker(min_hits=1, high_score=0.3), make_detections(4, keypoints=keypoints, categories=CATEGORIES)
    for number in range(3):
        tracked = tracker.update(detections[:3], number * STEP)
        assert tracked.ids.tolist() == [1, 2, 3]
        assert tracked.detections.has_keypoints.tolist() == detections.has_keypoints[:3].tolist()
        np.testing.assert_array_equal(tracked.detections.keypoints, detections.keypoints[:3])
        assert np.isfinite(tracked.detections.boxes).all()
        assert np.isfinite(tracked.velocities).all()


@pytest.mark.parametrize("hidden", [False, True], ids=["both seen all the time", "one hides the other"])
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "in turned order"])
def test_crossing_objects_keep_their_ids(hidden: bool, order: int):
    tracker, speed = Tracker(), 120
    for number in range(60):
        time_s = number * STEP
        left, right = (100 + speed * time_s, 200, 60, 120, 0.9), (540 - speed * time_s, 210, 60, 120, 0.9)
        seen = [left] if hidden and abs(left[0] - right[0]) < 50 else [left, right]
        tracked = tracker.update(frame(*seen[::order]), time_s)
        if number == 1:
            before = id_at(tracked, left[0]), id_at(tracked, right[0])
    assert right[0] < left[0]
    assert (id_at(tracked, left[0]), id_at(tracked, right[0])) == before
    assert tracker.counts() == Counts({"person": 2}, {"person": 2})


@pytest.mark.parametrize(
    ("missed_s", "same"), [(0.2, True), (0.9, True), (1.2, False)], ids=["a few frames", "nearly too long", "too long"]
)
def test_a_track_that_is_missed_for_a_while_keeps_its_id_and_is_found_where_its_motion_leads(missed_s: float, same: bool):
    tracker, speed = Tracker(max_unseen_s=1), 150
    ids = follow(tracker, [frame((100 + speed * number * STEP, 200)) for number in range(15)])
    lost_at = 14 * STEP
    for time_s in np.arange(lost_at + STEP, lost_at + missed_s, STEP):
        assert len(tracker.update(frame(), time_s).ids) == 0
        assert tracker.counts().in_view == {}
    again = [lost_at + missed_s, lost_at + missed_s + STEP]
    *_, last = follow(tracker, [frame((100 + speed * time_s, 200)) for time_s in again], again)
    assert ids[-1] == [1]
    assert last == ([1] if same else [2])
    assert tracker.counts().total == {"person": 1 if same else 2}


def test_frames_may_come_irregularly():
    rng = np.random.default_rng(0)
    times = 1e6 + np.cumsum(rng.choice([0, 0.01, 0.1, 0.4], 80))
    tracker = Tracker()
    ids = follow(tracker, [frame((100 + 25 * t, 150, 50, 100), (600 - 20 * t, 330, 50, 100)) for t in times - times[0]], times)
    assert {number for found in ids[1:] for number in found} == {1, 2}
    assert all(len(found) == 2 for found in ids[1:])
    assert tracker.counts().total == {"person": 2}


def test_motion_is_by_time_and_not_by_frame():
    """Fast enough to leave its box between two frames when one comes late."""
    speed, times = 200, [*np.arange(0, 1, STEP), 1.5]
    assert 1 in follow(Tracker(), [frame((50 + speed * t, 200)) for t in times], times)[-1]
    assert follow(Tracker(), [frame((50 + speed * min(t, 14 * STEP) + 112 * (t == 1.5), 200)) for t in times], times)[-1] == [1]


@pytest.mark.parametrize("step_s", [2, 1e9, 1e200], ids=["a slow model", "a stream that was halted", "an absurd clock"])
def test_an_object_in_the_next_frame_is_the_same_however_late_it_comes(step_s: float):
    times = [0, step_s, 2 * step_s, 3 * step_s]
    assert follow(Tracker(max_unseen_s=0.5), [frame((300, 200))] * 4, times) == [[], [1], [1], [1]]


@pytest.mark.parametrize(("min_hits", "expected"), [(1, [2, 2, 2]), (2, [1, 2, 2]), (3, [1, 1, 2])])
def test_a_newcomer_gets_an_id_of_its_own_once_it_is_sure(min_hits: int, expected: list[int]):
    tracker = Tracker(min_hits=min_hits)
    ids = follow(tracker, [frame((100, 200))] * 4 + [frame((100, 200), (400, 200))] * 3)
    assert ids[3] == [1]
    assert ids[4:] == [[1, 2][:n] for n in expected]


def test_what_is_seen_only_once_now_and_then_does_not_count():
    tracker = Tracker(min_hits=2)
    assert follow(tracker, [frame((100, 200)), frame()] * 5) == [[]] * 10
    assert tracker.counts() == Counts({}, {})
    tracker.update(frame((100, 200)), 1)
    assert tracker.counts() == Counts({}, {})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([0.9, 0.9, 0.2, 0.15, 0.9], [[], [1], [1], [1], [1]], id="a low score keeps an object alive"),
        pytest.param([0.9, 0.9, 0.05, 0.9], [[], [1], [], [1]], id="too low"),
        pytest.param([0.4] * 4, [[]] * 4, id="low scores are no newcomer"),
        pytest.param([0.9, 0.4, 0.9], [[], [], []], id="nor do they confirm one"),
        pytest.param([0.9, 0.9, 0.05, 0.3, 0.9], [[], [1], [], [], [1]], id="nor find again what was lost"),
        pytest.param([0.5, 0.5], [[], [1]], id="at the threshold"),
    ],
)
def test_scores(scores: list[float], expected: list[list[int]]):
    assert follow(Tracker(high_score=0.5, low_score=0.1), [scored(score) for score in scores]) == expected


@pytest.mark.parametrize(("score", "moved", "same"), [(0.9, 30, True), (0.3, 10, True), (0.3, 30, False)])
def test_a_low_score_must_be_closer_to_where_the_object_is_expected(score: float, moved: float, same: bool):
    frames = [frame((300, 200))] * 3 + [frame((300 + moved, 200, 60, 120, score))]
    assert follow(Tracker(high_score=0.5), frames)[-1] == ([1] if same else [])


def test_a_known_track_comes_before_a_new_one():
    tracker = Tracker()
    follow(tracker, [frame((300, 200))] * 3 + [frame((300, 200), (340, 200))])
    assert tracker.update(frame((335, 200)), 4 * STEP).ids.tolist() == [1]
    assert follow(tracker, [frame((300, 200), (335, 200))] * 3, [0.4, 0.5, 0.6])[-1] == [2, 1]


def test_high_scores_come_before_better_places():
    tracker = Tracker()
    follow(tracker, [frame((300, 200))] * 3)
    tracked = tracker.update(frame((300, 200, 60, 120, 0.3), (310, 200, 60, 120, 0.9)), 3 * STEP)
    assert tracked.ids.tolist() == [1]
    assert tracked.detections.scores == pytest.approx([0.9])


def test_an_object_that_changes_its_class_is_another():
    tracker = Tracker()
    person, dog = frame((300, 200)), frame((300, 200, 60, 120, 0.9, "dog"))
    assert follow(tracker, [person] * 3 + [dog] * 3) == [[], [1], [1], [], [2], [2]]
    assert tracker.counts() == Counts({"dog": 1}, {"person": 1, "dog": 1})


def test_a_class_that_flickers_changes_nothing():
    tracker = Tracker()
    person, dog = frame((300, 200)), frame((300, 200, 60, 120, 0.9, "dog"))
    assert follow(tracker, [person, person, dog, person, person]) == [[], [1], [], [1], [1]]
    assert tracker.counts().total == {"person": 1}


def test_classes_are_the_same_by_name_when_the_model_changes():
    other = frame((300, 200), categories=("__background__", "dog", "person"))
    assert follow(Tracker(), [frame((300, 200))] * 2 + [other]) == [[], [1], [1]]


def test_totals_add_up_and_the_view_is_the_latest_frame():
    tracker = Tracker(min_hits=1, max_unseen_s=0.5)
    for number in range(4):
        tracker.update(frame((100 + 120 * number, 150), (300, 400, 80, 60, 0.8, "dog")), number)
    assert tracker.counts() == Counts({"person": 1, "dog": 1}, {"person": 4, "dog": 1})
    tracker.update(frame(), 4)
    assert tracker.counts() == Counts({}, {"person": 4, "dog": 1})
    assert list(tracker.counts().total) == ["person", "dog"]


def test_reset_starts_again():
    tracker = Tracker(min_hits=1)
    follow(tracker, [frame((100, 200), (400, 200))] * 3)
    tracker.reset()
    assert tracker.counts() == Counts({}, {})
    assert follow(tracker, [frame((400, 200))]) == [[1]]


@pytest.mark.parametrize("before", [0, 3], ids=["from the start", "after something"])
def test_nothing_found(before: int):
    tracker = Tracker()
    follow(tracker, [frame((100, 200))] * before)
    tracked = tracker.update(Detections.empty((480, 640), CATEGORIES, model="some"), before * STEP)
    assert (len(tracked.detections), tracked.ids.shape, tracked.ids.dtype) == (0, (0,), np.int64)
    assert tracked.detections.model == "some"


def test_boxes_become_steadier_and_truer_and_do_not_lag():
    rng = np.random.default_rng(0)
    tracker, raw, smooth = Tracker(min_hits=1), [], []
    for number in range(300):
        time_s = number / 30
        truth = np.array([50 + 50 * time_s, 100, 110 + 50 * time_s, 220])
        measured = truth + rng.normal(0, 3, 4)
        found = tracker.update(Detections(measured[None], [1], [0.9], (480, 640), CATEGORIES), time_s)
        assert found.ids.tolist() == [1]
        raw.append(measured - truth)
        smooth.append(found.detections.boxes[0] - truth)
    raw, smooth = np.array(raw[30:]), np.array(smooth[30:])
    assert np.square(smooth).mean() < 0.6 * np.square(raw).mean()
    assert np.square(np.diff(smooth, axis=0)).mean() < 0.4 * np.square(np.diff(raw, axis=0)).mean()
    assert abs(smooth.mean(axis=0)).max() < 1


def test_boxes_grow_with_the_object():
    tracker = Tracker(min_hits=1)
    for number in range(60):
        tracked = tracker.update(frame((300, 240, 60 + number, 120 + 2 * number)), number * STEP)
    assert tracked.ids.tolist() == [1]
    np.testing.assert_allclose(tracked.detections.boxes, frame((300, 240, 119, 238)).boxes, atol=4)


def test_a_new_object_has_the_box_of_its_detection():
    detections = make_detections(4)
    tracked = Tracker(min_hits=1, high_score=0).update(detections, 0)
    np.testing.assert_allclose(tracked.detections.boxes, detections.boxes, rtol=1e-5)


def test_smoothed_boxes_stay_in_the_image():
    frames = [frame((number * 40 + 30, 60), image_size=(120, 300)) for number in range(6)] + [
        frame((275, 60, 50, 120), image_size=(120, 300))
    ]
    tracker = Tracker(min_hits=1)
    for number, detections in enumerate(frames):
        boxes = tracker.update(detections, number * STEP).detections.boxes
        assert ((boxes >= 0) & (boxes <= [300, 120, 300, 120])).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_masks_and_keypoints_are_those_of_the_detection():
    full = make_detections(6, masks=True, keypoints=True, labels=[1, 2, 3, 1, 2, 3])
    full = dataclasses.replace(full, masks=full.masks * np.linspace(0.5, 1, 6)[:, None, None], model="some")
    tracker = Tracker(high_score=0.3, low_score=0.3)
    tracker.update(full[[0, 2, 3]], 0)
    tracked = tracker.update(full, 0.1)
    expected = full[[0, 2, 3]]
    assert tracked.ids.tolist() == [1, 2, 3]
    for name in ("labels", "scores", "masks", "keypoints", "keypoint_scores"):
        np.testing.assert_array_equal(getattr(tracked.detections, name), getattr(expected, name))
    assert (tracked.detections.model, tracked.detections.keypoint_names) == ("some", full.keypoint_names)


def test_gives_the_tracked_objects_and_their_velocities():
    tracker, speed = Tracker(), 150
    for number in range(15):
        newcomers = [(550, 300, 60, 120, 0.95)] if number == 14 else []
        tracked = tracker.update(frame(*newcomers, (100 + speed * number * STEP, 200), (400, 100)), number * STEP)
    assert tracked.indices.tolist() == [1, 2]
    np.testing.assert_allclose(tracked.velocities, [[speed, 0], [0, 0]], atol=0.1 * speed)
    assert tracker.update(frame(), 16 * STEP).velocities.shape == (0, 2)


def test_what_was_given_is_not_changed():
    detections = frame((300, 200), (100, 200))
    boxes = detections.boxes.copy()
    follow(Tracker(), [frame((310, 200), (90, 200)), detections])
    np.testing.assert_array_equal(detections.boxes, boxes)


def test_a_box_without_an_area_is_no_object():
    tracker = Tracker(min_hits=1)
    assert follow(tracker, [frame((300, 200, 0, 120))] * 3) == [[]] * 3


def test_an_image_of_another_size_is_another_view():
    tracker = Tracker(min_hits=1)
    assert follow(tracker, [frame((200, 200)), frame((200, 200), image_size=(640, 480))]) == [[1], [2]]


def test_the_same_frames_give_the_same_result():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 400, (20, 30, 2))
    frames = [Detections(np.hstack([c, c + 80]), [1] * 30, [0.9] * 30, (480, 640), CATEGORIES) for c in corners]
    results = [follow(Tracker(min_hits=1), frames) for _ in range(2)]
    assert results[0] == results[1]
    assert all(len(set(found)) == len(found) == 30 for found in results[0])


@pytest.mark.parametrize("time_s", [0.9, float("nan"), float("inf"), -float("inf")])
def test_time_does_not_go_back(time_s: float):
    tracker = Tracker(min_hits=1)
    tracker.update(frame((100, 200)), 1)
    with pytest.raises(ValueError, match="in order of time"):
        tracker.update(frame((100, 200)), time_s)
    assert tracker.update(frame((100, 200)), 1).ids.tolist() == [1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("high_score", 1.1),
        ("high_score", -0.1),
        ("low_score", 1.1),
        ("low_score", -0.1),
        ("iou", 0),
        ("iou", 1.1),
        ("iou", float("nan")),
        ("min_hits", 0),
        ("max_unseen_s", -1),
        ("max_unseen_s", float("inf")),
    ],
)
def test_numbers_out_of_range_are_refused(option: str, value: float):
    with pytest.raises(ValueError, match="must lie in 0–1"):
        Tracker(**{option: value})
