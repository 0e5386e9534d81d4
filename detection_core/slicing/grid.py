"""The grid of overlapping tiles into which a large image is cut."""

from __future__ import annotations

import math
from typing import NamedTuple

from detection_core.errors import UserError

# The sides that tiles may have, in pixels.
SMALLEST_SLICE, LARGEST_SLICE = 128, 4096
# Share of a tile that overlaps the next one. Objects up to this size are complete in at least one tile.
OVERLAP = 0.2
# With more, an image would occupy the device for minutes.
MAX_TILES = 1000


class TooManySlicesError(UserError, ValueError):
    """The slices are too small for the image; the message says what to do."""


class Tile(NamedTuple):
    """A rectangle of the image, XYXY in whole pixels; the right and lower borders are outside."""

    x0: int
    y0: int
    x1: int
    y1: int


def tile_grid(image_size: tuple[int, int], size: int) -> list[Tile]:
    """Returns the tiles that cover an image, row by row.

    Neighbors overlap by at least a fifth of the size. Tiles are spaced evenly, so that none is smaller than the others.

    Args:
        image_size: (height, width) in pixels.
        size: Width and height of a tile in pixels; where the image is smaller, the tile is as well.

    Returns:
        The tiles, or none if the image is not larger than one tile: its slices would be the whole image again.

    Raises:
        TooManySlicesError: If there are more than 1,000.
    """
    height, width = image_size
    if max(height, width) <= size:
        return []
    rows, columns = _starts(height, size), _starts(width, size)
    if len(rows) * len(columns) > MAX_TILES:
        raise TooManySlicesError(
            f"Slices of {size} pixels cut this image into {len(rows) * len(columns):,} pieces; at most {MAX_TILES:,} are allowed. "
            "Choose larger slices."
        )
    return [Tile(x, y, min(x + size, width), min(y + size, height)) for y in rows for x in columns]


def _starts(length: int, size: int) -> list[int]:
    """Returns where tiles begin along one side of the image."""
    if length <= size:
        return [0]
    steps = math.ceil((length - size) / math.floor(size * (1 - OVERLAP)))
    return [round(step * (length - size) / steps) for step in range(steps + 1)]
