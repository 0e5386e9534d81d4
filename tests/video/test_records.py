from __future__ import annotations

import gc
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.video import FrameResults
from detection_core.video.io import VideoFile, VideoLimits
from tests.factories import make_detections

ARRAYS = ("boxes", "labels", "scores", "masks", "keypoints", "keypoint_scores")
VIDEO = VideoFile(Path("video.mp4"), (640, 480), 10, 25, 250, False, "h264", VideoLimits())


def assert_equal(one: Detections, other: Detections) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.image_size, one.categories, one.keypoint_names, one.model) == (
        other.image_size,
        other.categories,
        other.keypoint_names,
        other.model,
    )


@pytest.mark.parametrize(
    "gives", [{}, {"masks": True}, {"keypoints": True}, {"keypoints": [2]}, {"masks": True, "keypoints": True}], ids=str
)
def test_what_was_found_comes_back_exactly(gives):
    found = [make_detections(n, seed=n, model="m", **gives) for n in (3, 0, 40)]
    with FrameResults(VIDEO) as records:
        for number, detections in enumerate(found):
            records.append(5 * number, number / 3, detections)
        assert len(records) == 3
        for _ in range(2):
            read = list(records)
            assert [(frame.index, frame.time_s) for frame in read] == [(0, 0), (5, 1 / 3), (10, 2 / 3)]
            for frame, detections in zip(read, found, strict=True):
                assert_equal(frame.detections, detections)


def test_records_are_read_while_they_grow():
    with FrameResults(VIDEO) as records:
        records.append(0, 0.0, make_detections(2))
        reading = iter(records)
        next(reading)
        records.append(1, 0.1, make_detections(2))
        assert list(islice(reading, 1)) == []
        assert [frame.index for frame in records] == [0, 1]


def test_a_frame_without_any_mask_is_one_among_others():
    without = make_detections(0, masks=True)
    with FrameResults(VIDEO) as records:
        records.append(0, 0.0, replace(without, masks=None))
        records.append(1, 0.1, make_detections(2, masks=True))
        assert [frame.detections.masks is None for frame in records] == [True, False]


def test_a_temporary_file_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = FrameResults(VIDEO)
    records.append(0, 0.0, make_detections(2))
    assert len(list(tmp_path.iterdir())) == 1
    records.close()
    records.close()
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_is_not_closed_goes_with_its_object(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = FrameResults(VIDEO)
    records.append(0, 0.0, make_detections(2))
    del records
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_given_file_stays(tmp_path):
    with FrameResults(VIDEO, tmp_path / "records") as records:
        records.append(0, 0.0, make_detections(2))
    assert (tmp_path / "records").stat().st_size > 0


@pytest.mark.parametrize("other", [{"image_size": (64, 48)}, {"model": "another"}], ids=lambda other: next(iter(other)))
def test_frames_of_something_else_are_refused(other):
    with FrameResults(VIDEO) as records:
        records.append(0, 0.0, make_detections(2))
        with pytest.raises(ValueError, match="one model"):
            records.append(1, 0.1, make_detections(2, **other))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported_and_the_file_is_closed():
    records = FrameResults(VIDEO, Path("/dev/full"))
    # More than the buffer takes, and less.
    with pytest.raises(OSError, match="No space left"):
        records.append(0, 0.0, make_detections(1000, model="m", masks=True))
    records = FrameResults(VIDEO, Path("/dev/full"))
    records.append(0, 0.0, make_detections(1, model="m"))
    with pytest.raises(OSError, match="No space left"):
        records.close()
    records.close()
