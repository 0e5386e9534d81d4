"""Slices of large images: the tiles into which an image is cut, and the objects of the tiles merged into one result. NumPy only."""

from detection_core.slicing.grid import Tile, TooManySlicesError, tile_grid
from detection_core.slicing.merging import Slices, placed

__all__ = ["Slices", "Tile", "TooManySlicesError", "placed", "tile_grid"]
