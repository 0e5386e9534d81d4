"""A sliced image on its way through the engine: its tiles are runs of their own, between which other images have their turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.engine.base import JobState, Result, Stage
from detection_core.slicing import Slices


class TileRuns:
    """The runs of a model in an image's tiles so far, the whole image first. Only one thread at a time may use it.

    Args:
        image: The whole image.
        size: Side of a tile in pixels.

    Raises:
        TooManySlicesError: If there are too many tiles.
    """

    def __init__(self, image: Image.Image, size: int) -> None:
        self._image = image
        self._slices = Slices((image.height, image.width), size)
        self._total: Result | None = None

    @property
    def state(self) -> JobState:
        """Progress, in tiles."""
        return JobState(Stage.RUN, self._slices.done, len(self._slices.tiles))

    @property
    def have_begun(self) -> bool:
        """Whether there has been a run."""
        return self._slices.done > 0

    def next_pixels(self) -> NDArray[np.uint8]:
        """The pixels of the next tile, RGB uint8 [H,W,3]."""
        return np.asarray(self._image.crop(self._slices.next_tile) if self.have_begun else self._image)

    def add(self, result: Result) -> Result | None:
        """Adds the result of the next tile.

        Returns:
            The result for the whole image after the last tile, with the times of all; before, None.
        """
        self._slices.add(result.detections)
        before = self._total
        if before is None:
            self._total = result
        else:
            memory = None if before.memory is None or result.memory is None else max(before.memory, result.memory)
            self._total = replace(before, timings=before.timings + result.timings, memory=memory)
        return replace(self._total, detections=self._slices.result()) if self._slices.is_done else None
