from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detection_core.formats.yolo import joined


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], np.float32)


def signed_area(ring: np.ndarray) -> float:
    x, y = ring.T.astype(float)
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


@pytest.mark.parametrize(
    ("rings", "area"),
    [
        ([square(5, 5, 40)], 1600),
        ([square(5, 5, 20), square(50, 40, 10)], 500),
        ([square(5, 5, 10), square(30, 5, 10), square(60, 60, 20)], 600),
        ([square(5, 5, 60), square(20, 20, 20)[::-1]], 3200),
    ],
    ids=["one", "two parts", "three parts", "hole"],
)
def test_one_line_covers_what_the_rings_cover(rings, area):
    line = joined(rings)
    assert signed_area(line) == area
    canvas = Image.new("1", (1000, 1000))
    ImageDraw.Draw(canvas).polygon((10 * line).ravel().tolist(), fill=1)
    covered = np.asarray(canvas).sum() / 100
    assert covered == pytest.approx(area, rel=0.05)  # Pillow fills edges too.
