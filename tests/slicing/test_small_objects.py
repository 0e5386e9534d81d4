"""Tests with a built-in model that slices find small objects in a large image, each once, wherever the seams are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix
from detection_core.images.reading import load_image
from detection_core.models.catalog import ASSETS, PERSON_MODEL
from detection_core.models.detector import Detector

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (1200, 800)
SLICES = 400
# Grace Hopper, 40 pixels high; the model scales the whole image down to less than a half.
HEIGHT = 40
# Around head and shoulders the model itself sometimes finds a second, smaller person, with an IoU of 0.5 to 0.55.
SAME = 0.6


@pytest.fixture(scope="module")
def detectors() -> tuple[Detector, Detector]:
    return Detector(PERSON_MODEL), Detector(f"{PERSON_MODEL}@slices{SLICES}")


def composite(offset: int, detector: Detector) -> tuple[Image.Image, np.ndarray]:
    """Small copies of an image on gray, moved by an offset across the seams, and the boxes of the persons in them."""
    original = load_image(ASSETS / "examples" / "grace_hopper.jpg")
    person = detector.detect(original).boxes[0]
    scale = HEIGHT / original.height
    small = original.resize((round(original.width * scale), HEIGHT))
    canvas, boxes = Image.new("RGB", SIZE, (120, 130, 120)), []
    for y in (40, 230, 500, 640):
        for x in range(30 + offset, SIZE[0] - small.width, 190):
            top = y + offset // 2
            canvas.paste(small, (x, top))
            boxes.append(person * scale + [x, top, x, top])
    return canvas, np.array(boxes)


def found_once(found: Detections, boxes: np.ndarray) -> tuple[float, int]:
    """The share of the objects that are found, and how many are found more than once."""
    hits = (iou_matrix(boxes, found[found.scores > 0.5].boxes) > SAME).sum(axis=1)
    return float((hits > 0).mean()), int((hits > 1).sum())


@pytest.mark.parametrize("offset", [20, *(pytest.param(offset, marks=pytest.mark.slow) for offset in (0, 37, 61, 90, 113))])
def test_slices_find_small_objects_once(detectors: tuple[Detector, Detector], offset: int):
    whole, sliced = detectors
    image, boxes = composite(offset, whole)
    recall, _ = found_once(whole.detect(image), boxes)
    found = sliced.detect(image)
    sliced_recall, twice = found_once(found, boxes)
    assert recall < 0.3
    assert sliced_recall > 0.9
    assert twice == 0
    assert found.whole_scores is not None
    assert (found.whole_scores[found.scores > 0.5] < 0.5).mean() > 0.5
