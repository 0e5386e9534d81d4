from __future__ import annotations

import numpy as np
import pytest

from benchmarks.distance import MASK_SHARE, distance
from detection_core.detections import Detections
from detection_core.detections.masks import padded_box

SIDE = 28
# Seen in an image of twelve megapixels: grown by a cell, this box begins at 1189.000 in one result and at 1188.999 in the other.
BOX = (1308.6044, 1248.0581, 2534.9949, 2901.6824)
BOX_WITHIN_ROUNDING = (1308.6047, 1248.057, 2534.9944, 2901.6821)


def result(box: tuple[float, ...], grid: np.ndarray, score: float = 0.9) -> Detections:
    return Detections(np.array([box]), np.array([1]), np.array([score]), (3000, 4000), ("background", "thing"), masks=grid[None])


@pytest.fixture
def grid() -> np.ndarray:
    """A mask of many islands, of which a pixel's move changes much."""
    return np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)


def test_equal_results_are_equal(grid):
    apart = distance(result(BOX, grid), result(BOX, grid))
    assert apart.is_small
    assert (apart.box, apart.mask) == (0, 1)


def test_a_box_within_rounding_of_a_whole_pixel_does_not_make_its_mask_another(grid):
    first, second = result(BOX, grid), result(BOX_WITHIN_ROUNDING, grid)
    assert padded_box(SIDE, first.boxes[0]) != padded_box(SIDE, second.boxes[0])
    differing = np.zeros((3000, 4000), bool)
    for found in (first, second):
        crop, (x, y) = found.mask(0)
        differing[y : y + crop.shape[0], x : x + crop.shape[1]] ^= crop
    # The pixels themselves would not do.
    assert 1 - differing.sum() / ((BOX[2] - BOX[0]) * (BOX[3] - BOX[1])) < MASK_SHARE
    apart = distance(first, second)
    assert apart.is_small, apart


@pytest.mark.parametrize("box", [BOX, BOX_WITHIN_ROUNDING], ids=["the same box", "a box within rounding"])
def test_another_mask_is_no_small_difference(grid, box):
    other = grid.copy()
    other[10, 10:13] = 1 - other[10, 10:13]
    apart = distance(result(BOX, grid), result(box, other))
    assert apart.mask < MASK_SHARE
    assert not apart.is_small


def test_a_box_elsewhere_is_no_small_difference(grid):
    apart = distance(result(BOX, grid), result((*BOX[:3], BOX[3] + 0.5), grid))
    assert apart.box == pytest.approx(0.5, abs=1e-3)
    assert not apart.is_small
