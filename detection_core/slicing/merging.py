"""Merges what a model found in the whole image and in its tiles into one result, in which every object is once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.slicing.grid import Tile, tile_grid
from detection_core.slicing.grouping import group_boxes
from detection_core.slicing.joining import join

# Candidates and objects that are kept, by score: they bound the memory and the time that merging takes.
MAX_CANDIDATES = 3000
MAX_OBJECTS = 1000

_JOINED = ("boxes", "masks", "keypoints", "keypoint_scores")


class Slices:
    """An image's tiles, and what a model has found in them so far; see `group_boxes` for how it is merged.

    Args:
        image_size: (height, width) of the whole image.
        size: Width and height of a tile in pixels.

    Attributes:
        tiles: The whole image first, then its tiles, if it is larger than one.
        done: In how many of them the model has run.

    Raises:
        TooManySlicesError: If there are too many tiles.
    """

    def __init__(self, image_size: tuple[int, int], size: int) -> None:
        self.tiles = [Tile(0, 0, image_size[1], image_size[0]), *tile_grid(image_size, size)]
        self.done = 0
        self._image_size = image_size
        self._found: Detections | None = None
        # The number of the tile in which each object was found.
        self._origins: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def is_done(self) -> bool:
        """Whether the model has run in all tiles."""
        return self.done == len(self.tiles)

    @property
    def next_tile(self) -> Tile:
        """The tile in which the model has to run next."""
        return self.tiles[self.done]

    def add(self, found: Detections) -> None:
        """Adds what was found in the next tile, in the tile's own pixels."""
        found = placed(found, self.next_tile, self._image_size)
        arrays, origins = _arrays(found), np.full(len(found), self.done)
        self.done += 1
        if self._found is not None:
            before = _arrays(self._found)
            arrays = {name: np.concatenate([before[name], value]) for name, value in arrays.items()}
            origins = np.concatenate([self._origins, origins])
        # In the order of `Detections`, so that origins stay beside their objects.
        order = np.argsort(-arrays["scores"], kind="stable")[:MAX_CANDIDATES]
        changes: dict[str, Any] = {name: value[order] for name, value in arrays.items()}
        self._found = replace(found, **changes)
        self._origins = origins[order]

    def result(self) -> Detections:
        """Merges what has been added. Objects of different classes are never merged.

        Returns:
            The objects, each with the highest score of its group and, in `whole_scores`, with the highest of those in the whole image.

        Raises:
            ValueError: If nothing has been added.
        """
        found = self._found
        if found is None:
            raise ValueError("nothing has been added")
        tiles = np.array(self.tiles, np.float32)[self._origins]
        groups = []
        for label in np.unique(found.labels):
            of_class = np.flatnonzero(found.labels == label)
            for group in group_boxes(found.boxes[of_class], tiles[of_class], self._image_size):
                groups.append((of_class[group.kept], of_class[group.members]))
        if not groups:
            return replace(found, whole_scores=np.zeros(0, np.float32))
        # Indices are in the order of scores.
        groups = sorted(groups, key=lambda group: group[1].min())[:MAX_OBJECTS]
        best = np.array([members.min() for _, members in groups], np.int64)
        whole = [found.scores[members[self._origins[members] == 0]].max(initial=0) for _, members in groups]
        joined = [join(found[kept]) for kept, _ in groups]
        result = replace(found[best], whole_scores=np.array(whole, np.float32))
        changes: dict[str, Any] = {name: np.stack([getattr(each, name) for each in joined]) for name in _arrays(found) if name in _JOINED}
        return replace(result, **changes)


def placed(found: Detections, tile: Tile, image_size: tuple[int, int]) -> Detections:
    """Moves what was found in a tile, in the tile's own pixels, to its place in the image of (height, width)."""
    corner = np.array([tile.x0, tile.y0], np.float32)
    keypoints = None if found.keypoints is None else found.keypoints + corner
    return replace(found, boxes=found.boxes + np.tile(corner, 2), keypoints=keypoints, image_size=image_size)


def _arrays(found: Detections) -> dict[str, NDArray[Any]]:
    return {name: value for name in (*_JOINED, "labels", "scores") if (value := getattr(found, name)) is not None}
