"""Tests of the grid of tiles."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.slicing import Tile, TooManySlicesError, tile_grid

sides = st.integers(8, 5000)


def test_no_tiles_of_an_image_that_is_not_larger():
    assert tile_grid((640, 640), 640) == []
    assert tile_grid((480, 640), 640) == []


def test_a_flat_image_is_cut_along_its_length_only():
    assert tile_grid((480, 1000), 640) == [Tile(0, 0, 640, 480), Tile(360, 0, 1000, 480)]


@given(height=sides, width=sides, size=st.integers(300, 2048))
def test_tiles_cover_the_image_and_overlap(height: int, width: int, size: int):
    try:
        tiles = tile_grid((height, width), size)
    except TooManySlicesError:
        assert (height / size / 0.8 + 1) * (width / size / 0.8 + 1) > 1000
        return
    for begin, end, length in ((0, 2, width), (1, 3, height)):
        ranges = sorted({(tile[begin], tile[end]) for tile in tiles})
        if not tiles:
            assert length <= size
            continue
        assert (ranges[0][0], ranges[-1][1]) == (0, length)
        assert {last - first for first, last in ranges} == {min(size, length)}
        assert all(before[1] - after[0] >= 0.2 * size - 1 for before, after in itertools.pairwise(ranges))
        # One tile less would not do.
        assert len(ranges) == 1 or length > size + (len(ranges) - 2) * int(0.8 * size)
    assert len(tiles) == len(set(tiles))


def test_too_many_tiles_are_refused_with_a_reason():
    with pytest.raises(TooManySlicesError, match=r"Slices of 128 pixels cut this image into .* Choose larger slices"):
        tile_grid((5000, 10000), 128)
