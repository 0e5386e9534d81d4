"""A sliced image on its way through the engine: its tiles are runs of their own, between which other images have their turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.engine.base import JobState, Result, Stage
from detection_core.slicing import Slices


class TileRuns:
    """The runs of a model in an image's tiles so far, the whole image first. Only one run at a time may use it.

    Jobs that ask for the same share it: a turn of any of them brings all of them further.

    Args:
        image: The whole image.
        size: Side of a tile in pixels.

    Attributes:
        result: The result for the whole image, with the times of all passes; None before the last tile.

    Raises:
        TooManySlicesError: If there are too many tiles.
    """

    def __init__(self, image: Image.Image, size: int) -> None:
        self.result: Result | None = None
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

    @property
    def left(self) -> int:
        """In how many tiles the model has not run yet."""
        return len(self._slices.tiles) - self._slices.done

    def tile_size(self, ahead: int) -> tuple[int, int]:
        """Width and height of a tile that is left, after so many others."""
        x0, y0, x1, y1 = self._slices.tiles[self._slices.done + ahead]
        return x1 - x0, y1 - y0

    def pixels(self, ahead: int) -> NDArray[np.uint8]:
        """The pixels of a tile that is left, after so many others, RGB uint8 [H,W,3]."""
        number = self._slices.done + ahead
        return np.asarray(self._image.crop(self._slices.tiles[number]) if number else self._image)

    def add(self, results: Sequence[Result]) -> Result | None:
        """Adds the results of the next tiles.

        Returns:
            The result for the whole image after the last tile; before, None.
        """
        for result in results:
            self._slices.add(result.detections)
        # Tiles that shared a pass have its times in common.
        for result in {result.timings: result for result in results}.values():
            self._total = result if self._total is None else _together(self._total, result)
        if self._slices.is_done and self._total is not None:
            self.result = replace(self._total, detections=self._slices.result())
        return self.result


def _together(before: Result, after: Result) -> Result:
    """Returns the result before, with the time and the memory of both."""
    memory = None if before.memory is None or after.memory is None else max(before.memory, after.memory)
    return replace(before, timings=before.timings + after.timings, memory=memory)
