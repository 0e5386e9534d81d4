"""Tests that saliency lights up the pixels on which a synthetic detector relies."""

from __future__ import annotations

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.explanation import SaliencyCancelled, SaliencyProgress, drise, faithfulness

BOX = (5.0, 10.0, 45.0, 40.0)
# (top, bottom, left, right): the detector looks at this part of its object only.
EVIDENCE = np.s_[14:24, 10:20]


def detect(pixels: np.ndarray) -> Detections:
    """Finds an object whose score is the brightness of its evidence, and one of another class that is always there."""
    score = pixels[EVIDENCE].mean() / 255
    return Detections(np.array([BOX, BOX]), np.array([1, 2]), np.array([score, 1.0]), pixels.shape[:2], ("", "a", "b"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    pixels = np.full((50, 64, 3), 60, np.uint8)
    pixels[EVIDENCE] = 250
    return pixels


def test_the_evidence_lights_up(image):
    heat = drise(image, detect, BOX, 1, masks=400, grid=8)
    assert heat.shape == image.shape[:2]
    inside = np.zeros(heat.shape, bool)
    inside[EVIDENCE] = True
    assert inside[np.unravel_index(heat.argmax(), heat.shape)]
    assert heat[inside].mean() > 3 * heat[~inside].mean()


def test_a_good_map_deletes_fast_and_inserts_fast(image):
    heat = drise(image, detect, BOX, 1, masks=200, grid=8)
    deletion, insertion = faithfulness(image, detect, BOX, 1, heat)
    worse_deletion, worse_insertion = faithfulness(image, detect, BOX, 1, 1 - heat)
    assert deletion < worse_deletion - 0.3
    assert insertion > worse_insertion + 0.3


def test_an_object_that_is_not_found_has_no_evidence(image):
    assert not drise(image, detect, (50, 0, 60, 5), 1, masks=5).any()


def test_progress_and_cancelling(image):
    seen: list[SaliencyProgress] = []
    with pytest.raises(SaliencyCancelled):
        drise(image, detect, BOX, 1, masks=10, on_progress=seen.append, cancelled=lambda: len(seen) == 3)
    assert [(progress.done, progress.total) for progress in seen] == [(1, 10), (2, 10), (3, 10)]
    assert all(progress.seconds_left > 0 for progress in seen)
