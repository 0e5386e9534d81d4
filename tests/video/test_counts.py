from __future__ import annotations

from detection_core.video import VideoOptions, count_per_frame
from tests.video.scenes import make_scene, records_of


def test_counts_of_each_frame_and_of_all(tmp_path):
    records = records_of(make_scene(tmp_path / "a.mp4", 12))
    series = count_per_frame(records, VideoOptions(0.5))
    assert series.times == [index / 10 for index in range(12)]
    assert series.counts == {"red thing": [1] * 12, "blue thing": [1] * 12}
    assert series.total == {"red thing": 1, "blue thing": 1}


def test_a_class_that_comes_late_has_zeros_before(tmp_path):
    # The blue thing has left by then.
    records = records_of(make_scene(tmp_path / "a.mp4", 48))
    series = count_per_frame(records, VideoOptions(0.5))
    assert list(series.counts) == ["red thing", "blue thing"]
    blue = series.counts["blue thing"]
    assert len(blue) == 48
    assert blue[:35] == [1] * 35
    assert blue[46:] == [0, 0]


def test_without_tracking_the_total_is_unknown(tmp_path):
    series = count_per_frame(records_of(make_scene(tmp_path / "a.mp4", 4)), VideoOptions(0.7, track=False))
    assert series.counts == {"red thing": [1] * 4}
    assert series.total is None


def test_only_the_classes_shown_are_counted(tmp_path):
    records = records_of(make_scene(tmp_path / "a.mp4", 4))
    series = count_per_frame(records, VideoOptions(0.5, classes=frozenset({"blue thing"})))
    assert (series.counts, series.total) == ({"blue thing": [1] * 4}, {"blue thing": 1})


def test_nothing_found(tmp_path):
    series = count_per_frame(records_of(make_scene(tmp_path / "a.mp4", 4)), VideoOptions(0.99))
    assert (len(series.times), series.counts, series.total) == (4, {}, {})
