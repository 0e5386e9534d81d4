"""What is known of how long models take for a frame."""

from __future__ import annotations

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.video import frame_times
from detection_core.ui.video.frame_times import FrameTimes

SPEC = get_model_spec(PERSON_MODEL)


@pytest.mark.parametrize(
    ("size", "seconds"),
    [((640, 480), 0.1), ((480, 640), 0.1), ((800, 600), 0.1), ((1920, 1080), 0.4), ((320, 240), None)],
    ids=["same", "turned", "alike", "nearest", "another"],
)
def test_sizes_alike_take_alike(size, seconds):
    times = FrameTimes()
    times.put(SPEC, (640, 480), 0.2)
    times.put(SPEC, (640, 480), 0.1)
    times.put(SPEC, (1920, 1200), 0.4)
    assert times.get(SPEC, size) == seconds
    assert times.get(get_model_spec("ssd300_vgg16"), size) is None


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(frame_times, "_REMEMBERED", 1)
    times = FrameTimes()
    times.put(SPEC, (640, 480), 0.1)
    times.put(SPEC, (64, 48), 0.1)
    assert times.get(SPEC, (640, 480)) is None
