"""The place that a question is about, and which boxes fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.matching import iou_matrix
from detection_core.errors import UserError
from detection_core.explanation.record import Recording

# A candidate fits a box from this IoU on, as in the usual measures of detectors.
FITTING_IOU = 0.5
# At a point, a box that covers more than this share of the image counts with this share of its score.
_VAGUE_SHARE = 0.5
_VAGUE_WEIGHT = 0.25

Box = tuple[float, float, float, float]


class QueryError(UserError, ValueError):
    """The place, box, object or class that is asked about does not exist."""


@dataclass(frozen=True)
class Query:
    """Where to search for candidates, in pixels of the image; either a point or a box.

    A candidate fits a point if the middle half of its box, horizontally and vertically, contains it; a box, if their IoU is at least 0.5.
    The candidates that fit are ranked by their scores. At a point, a box that covers more than half of the image counts with a quarter of
    its score, because it says little about the point: a smaller box comes first unless its score is less than a quarter as high.

    Attributes:
        at: (x, y), or None.
        box: XYXY, or None.
        label: Only candidates of this class, or None for all.
    """

    at: tuple[float, float] | None = None
    box: Box | None = None
    label: int | None = None

    def check(self, recording: Recording) -> None:
        """Checks that the query suits a recording.

        Raises:
            QueryError: If not.
        """
        if (self.at is None) == (self.box is None):
            raise QueryError("Give either a point or a box.")
        (height, width), (x0, y0, x1, y1) = recording.region_size, recording.region
        what = "image" if recording.tile is None else "slice"
        if self.at is not None and not (x0 <= self.at[0] <= x1 and y0 <= self.at[1] <= y1):
            raise QueryError(f"The point {self.at[0]:g}, {self.at[1]:g} lies outside the {what} of {width}×{height} pixels.")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (left < right and top < bottom):
                raise QueryError("A box is X0 Y0 X1 Y1 with X0 < X1 and Y0 < Y1.")
            if right <= x0 or bottom <= y0 or left >= x1 or top >= y1:
                raise QueryError(f"The box lies outside the {what} of {width}×{height} pixels.")

    def fits(self, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Returns which boxes [N,4] fit, bool [N]."""
        if self.at is not None:
            sides = boxes[:, 2:] - boxes[:, :2]
            off = np.abs(np.array(self.at, np.float32) - (boxes[:, :2] + boxes[:, 2:]) / 2)
            return np.asarray((off <= sides / 4).all(axis=1))
        return self.overlaps(boxes) >= FITTING_IOU

    def relevances(self, boxes: NDArray[np.float32], scores: NDArray[np.float32], image_size: tuple[int, int]) -> NDArray[np.float32]:
        """Returns the numbers by which candidates with these boxes [N,4] and scores [N] are ranked, float32 [N]."""
        if self.at is None:
            return scores
        sides = boxes[:, 2:] - boxes[:, :2]
        is_vague = sides[:, 0] * sides[:, 1] > _VAGUE_SHARE * image_size[0] * image_size[1]
        return np.where(is_vague, _VAGUE_WEIGHT * scores, scores)

    def overlaps(self, boxes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the IoU of each box with the query's box, float64 [N]."""
        overlaps: NDArray[np.float64] = iou_matrix(np.array([self.box], np.float32), boxes)[0]
        return overlaps


def box_of(box: NDArray[np.float32]) -> Box:
    """Converts a box [4] to plain numbers."""
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom
