from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from detection_core.formats.rle import decode_crop, encode, runs_of
from tests.factories import make_detections
from tests.formats.pixels import full_mask

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


def compressed(mask: np.ndarray) -> str:
    return coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()


@given(masks)
def test_compressed_runs_are_read_as_pycocotools_wrote_them(mask):
    height, width = mask.shape
    runs = runs_of(compressed(mask), mask.size)
    np.testing.assert_array_equal(decode_crop(runs, mask.shape, (0, 0, width, height)), mask)


@given(masks, st.data())
def test_a_window_is_cut_out(mask, data):
    height, width = mask.shape
    left, top = data.draw(st.integers(0, width)), data.draw(st.integers(0, height))
    right, bottom = data.draw(st.integers(left, width)), data.draw(st.integers(top, height))
    window = decode_crop(runs_of(compressed(mask), mask.size), mask.shape, (left, top, right, bottom))
    np.testing.assert_array_equal(window, mask[top:bottom, left:right])


def test_long_runs_are_read():
    mask = np.zeros((3000, 4000), bool)
    mask[1000:1500, 700:3000] = True
    np.testing.assert_array_equal(runs_of(compressed(mask), mask.size)[:4], [700 * 3000 + 1000, 500, 2500, 500])


def test_plain_lists_are_read():
    np.testing.assert_array_equal(decode_crop(runs_of([1, 2, 1], 4), (2, 2), (0, 0, 2, 2)), [[False, True], [True, False]])


def test_pycocotools_reads_ours():
    found = make_detections(1, masks=True)
    np.testing.assert_array_equal(coco_mask.decode(next(encode(found))), full_mask(found, 0))


@pytest.mark.parametrize(
    "counts",
    [[1, 2], [1, 2, 3], [-1, 5], [1.5, 2.5], [True, 3], ["4"], [10**30], [], "", "4", "o", "PPPPPPPPPPPP0", "\x00", "é", "zz"],
    ids=repr,
)  # fmt: skip
def test_runs_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="run length"):
        runs_of(counts, 5)
