"""Explains an object of a model with slices: which slice it was found in, where the whole image does not show it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix
from detection_core.explanation.query import FITTING_IOU, Box, Query, QueryError, box_of
from detection_core.explanation.reasons import number
from detection_core.explanation.record import Recording
from detection_core.explanation.recorder import record
from detection_core.explanation.selection import Fate
from detection_core.explanation.why import no_object
from detection_core.explanation.why_not import WhyNot, why_not
from detection_core.models.spec import ModelSpec
from detection_core.slicing import Tile, tile_grid

# An object in the corner of a slice is complete in four of them at most.
_MOST_RUNS = 4
# Scores in another precision, and of masks that were joined, differ by less.
_SAME_SCORE = 0.01
NOT_RECORDED = "The recorded run did not find this object, because its scores and boxes differ slightly. Ask about its place instead."


@dataclass(frozen=True)
class FoundObject:
    """An object of a result in slices.

    Attributes:
        label: Its class.
        name: The class's name.
        score: Its score.
        box: XYXY in pixels of the image.
    """

    label: int
    name: str
    score: float
    box: Box

    @classmethod
    def of(cls, found: Detections, index: int) -> FoundObject:
        """Takes an object from a result.

        Raises:
            QueryError: If there is no such object.
        """
        if not 0 <= index < len(found):
            raise QueryError(no_object(index, len(found)))
        return cls(int(found.labels[index]), found.names[index], float(found.scores[index]), box_of(found.boxes[index]))


@dataclass(frozen=True)
class SliceRecorder:
    """Records what happened in the slice that an object was found in; a function for `Engine.call`, which may pickle it.

    Attributes:
        asked: The model with slices, in the precision whose results are explained.
        target: The object.
    """

    asked: ModelSpec
    target: FoundObject

    def __call__(self, module: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8]) -> Recording:
        """Records slices that contain the object, until one has it with its score; otherwise returns the one with the best score.

        Raises:
            QueryError: If none of them has it.
        """
        best, best_score = None, 0.0
        for tile in slices_of(self.target.box, (pixels.shape[0], pixels.shape[1]), self.asked.slices)[:_MOST_RUNS]:
            recording = record(module, self.asked, pixels, tile)
            index = number_in(recording, self.target.label, self.target.box)
            score = 0.0 if index is None else float(recording.detections.scores[index])
            if score > best_score:
                best, best_score = recording, score
            if score >= self.target.score - _SAME_SCORE:
                break
        if best is None:
            raise QueryError(NOT_RECORDED)
        return best


def slices_of(box: Box, image_size: tuple[int, int], size: int | None) -> list[Tile]:
    """Returns the slices of an image that contain a part of a box, those with the largest part first; none without a size."""
    left, top, right, bottom = box
    parts: list[tuple[float, float, Tile]] = []
    for tile in tile_grid(image_size, size) if size is not None else []:
        width, height = min(right, tile.x1) - max(left, tile.x0), min(bottom, tile.y1) - max(top, tile.y0)
        # Of several that contain it completely, the one in whose middle it lies.
        off = abs(left + right - tile.x0 - tile.x1) + abs(top + bottom - tile.y0 - tile.y1)
        if width > 0 and height > 0:
            parts.append((-width * height, off, tile))
    return [tile for *_, tile in sorted(parts)]


def number_in(recording: Recording, label: int, box: Box) -> int | None:
    """Returns the number of a recording's object of a class with about this box, as far as the recorded region contains it, or None."""
    region = np.array(recording.region, np.float32)
    inside = np.concatenate([np.maximum(box[:2], region[:2]), np.minimum(box[2:], region[2:])])
    same = np.flatnonzero(recording.detections.labels == label)
    overlaps = iou_matrix([inside], recording.detections.boxes[same])[0]
    return int(same[overlaps.argmax()]) if len(same) and overlaps.max() >= FITTING_IOU else None


def why_not_in_whole(whole: Recording, target: FoundObject, threshold: float) -> WhyNot | None:
    """Explains why the model does not find an object of its result in the whole image, but only in a slice; None if it does.

    Args:
        whole: A recording of the whole image.
        target: The object.
        threshold: The threshold of the user, 0–1.
    """
    answer = why_not(whole, Query(box=target.box, label=target.label), threshold)
    if any((place.iou or 0) >= FITTING_IOU and place.classes[0].fate is Fate.KEPT for place in answer.places):
        return None
    sentence = f"Only a slice of the image shows this {target.name} {number(target.score)}. In the whole image: {answer.sentence}"
    return replace(answer, sentence=sentence)
