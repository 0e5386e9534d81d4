"""Tracking: gives the objects of consecutive frames an identity and a steadier box. Arrays and names only; no torch, no images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.core import Detections
from detection_core.detections.matching import iou_matrix, match, same_names

# Standard deviations for a Kalman filter of constant velocity, in sizes of the object: the gain then depends on time alone.
_OF_A_BOX = 0.05  # as in DeepSORT
_OF_A_NEW_VELOCITY = 2.0  # per second; people who walk past move by 1–2
_OF_A_CHANGE = 2.0  # of velocity, after a second; lower is smoother, and loses those who turn
_LONGEST_STEP_S = 10.0  # nobody knows how something moved in a longer time without frames
# Down to which score an object that is being followed is believed in, where nothing else is said.
LOW_SCORE = 0.1
_IOU_OF_LOW_SCORES = 0.5  # as in ByteTrack: doubtful objects must be where they are expected
_TRACK = np.dtype(
    [
        ("id", np.int64),  # 0 as long as the object does not count
        ("name", object),
        ("hits", np.int64),
        ("seen", np.bool_),  # in the latest frame
        ("seen_s", np.float64),
        ("center", np.float64, 2),
        ("size", np.float64, 2),
        ("velocity", np.float64, 2),
        ("covariance", np.float64, (2, 2)),  # of place and velocity, in squares of the size
    ]
)


@dataclass(frozen=True, eq=False)
class TrackedDetections:
    """The objects of one frame whose identity is known, in the detector's order.

    Attributes:
        detections: They, with smoothed boxes within the image; scores, masks and keypoints are those of this frame.
        ids: int64 [N], from 1: the same number in all frames, and never given again.
        indices: int64 [N], their places among the objects that the tracker was given.
        velocities: float32 [N,2], how their centers move, in pixels a second; 0 for newcomers.
    """

    detections: Detections
    ids: NDArray[np.int64]
    indices: NDArray[np.int64]
    velocities: NDArray[np.float32]


@dataclass(frozen=True)
class Counts:
    """How many objects: class name → number, most frequent first; `in_view` in the latest frame, `total` since the start."""

    in_view: dict[str, int]
    total: dict[str, int]


class Tracker:
    """Follows the objects of one stream or video, as ByteTrack does (Zhang et al., ECCV 2022), but by time instead of by frame.

    Objects keep their class. High scores are matched first; low ones only continue what was seen in the frame before.

    Args:
        high_score: From which score an object may be new or found again, 0–1; the model's default threshold, say.
        low_score: From which score an object that is being followed is still believed in, 0–1.
        iou: Lowest IoU of an object and the place where it is expected, above 0 and up to 1.
        min_hits: In how many frames running a newcomer is seen before it counts; 1 or more. Choose 1 for few frames a second.
        max_unseen_s: How long an object keeps its identity without being seen, seconds.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self, *, high_score: float = 0.5, low_score: float = LOW_SCORE, iou: float = 0.2, min_hits: int = 2, max_unseen_s: float = 1.0
    ) -> None:
        if not (0 <= low_score <= 1 and 0 <= high_score <= 1 and 0 < iou <= 1 and min_hits >= 1 and 0 <= max_unseen_s < np.inf):
            raise ValueError(
                "low_score and high_score must lie in 0–1, iou above 0 and up to 1, min_hits from 1 and max_unseen_s from 0, finite"
            )
        self.high_score, self.low_score, self.iou, self.min_hits, self.max_unseen_s = high_score, low_score, iou, min_hits, max_unseen_s
        self.reset()

    def reset(self) -> None:
        """Forgets everything: ids start at 1 again."""
        self._tracks: NDArray[Any] = np.zeros(0, _TRACK)
        self._total: Counter[str] = Counter()
        self._time_s = -np.inf
        self._image_size: tuple[int, int] | None = None

    def counts(self) -> Counts:
        """Objects in the latest frame, and all that ever had an identity."""
        shown = self._tracks[self._tracks["seen"] & (self._tracks["id"] > 0)]
        return Counts(dict(Counter(shown["name"].tolist()).most_common()), dict(self._total.most_common()))

    def update(self, detections: Detections, time_s: float) -> TrackedDetections:
        """Takes the next frame. When its size differs from the one before, as when a phone is turned, nothing is found again.

        Args:
            detections: Everything that the model found, low scores too.
            time_s: When the frame was taken, in seconds of any clock that does not go back.

        Raises:
            ValueError: If the frame is older than the one before, or `time_s` is not finite.
        """
        if not self._time_s <= time_s < np.inf:
            raise ValueError(f"frames must come in order of time, but {time_s} s follows {self._time_s} s; call reset() for a new stream")
        if detections.image_size != self._image_size:
            self._tracks, self._image_size = self._tracks[:0], detections.image_size
        recent = self._tracks["seen"].copy()
        self._predict(min(time_s - self._time_s, _LONGEST_STEP_S))
        self._time_s = time_s
        rows = self._assign(detections, recent)
        found = np.flatnonzero(rows >= 0)
        self._correct(rows[found], detections.boxes[found])
        self._identify()
        tracks = self._tracks
        self._tracks = tracks[tracks["seen"] | (tracks["id"] > 0) & (time_s - tracks["seen_s"] <= self.max_unseen_s)]
        found = found[tracks["id"][rows[found]] > 0]
        theirs = tracks[rows[found]]
        height, width = detections.image_size
        boxes = _boxes(theirs).clip(0, (width, height, width, height)).astype(np.float32)
        return TrackedDetections(replace(detections[found], boxes=boxes), theirs["id"], found, theirs["velocity"].astype(np.float32))

    def _predict(self, seconds: float) -> None:
        tracks, move = self._tracks, np.array([[1, seconds], [0, 1]])
        change = _OF_A_CHANGE**2 * np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        tracks["center"] += seconds * tracks["velocity"]
        tracks["covariance"] = move @ tracks["covariance"] @ move.T + change
        tracks["seen"] = False

    def _assign(self, detections: Detections, recent: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Row of each object's track, or -1. Objects that nobody expected get a new one."""
        tracks, scores, boxes = self._tracks, detections.scores, detections.boxes
        known, has_area = tracks["id"] > 0, (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        high, low = has_area & (scores >= self.high_score), (scores >= self.low_score) & (scores < self.high_score)
        overlaps, free = iou_matrix(_boxes(tracks), boxes), same_names(tracks["name"].tolist(), detections.names)
        rows = np.full(len(detections), -1)
        for followed, objects, iou in ((known, high, self.iou), (known & recent, low, _IOU_OF_LOW_SCORES), (~known, high, self.iou)):
            for row, index in match(overlaps, free & np.outer(followed, objects), iou):
                rows[index], free[row], free[:, index] = row, False, False
        new = np.flatnonzero(high & (rows < 0))
        rows[new] = len(tracks) + np.arange(len(new))
        born = np.zeros(len(new), _TRACK)
        born["name"] = np.array(detections.names, object)[new]
        born["center"], born["size"] = _centers_and_sizes(boxes[new])
        born["covariance"] = np.diag([_OF_A_BOX**2, _OF_A_NEW_VELOCITY**2])
        self._tracks = np.concatenate([tracks, born])
        return rows

    def _correct(self, rows: NDArray[np.int64], boxes: NDArray[np.float32]) -> None:
        """Moves tracks towards what was measured. Sizes follow without a velocity of their own: mostly, they change with the pose."""
        tracks, covariance, (center, size) = self._tracks, self._tracks["covariance"][rows], _centers_and_sizes(boxes)
        gain = covariance[:, :, :1] / (covariance[:, :1, :1] + _OF_A_BOX**2)
        surprise = center - tracks["center"][rows]
        tracks["center"][rows] += gain[:, 0] * surprise
        tracks["velocity"][rows] += gain[:, 1] * surprise
        tracks["size"][rows] += gain[:, 0] * (size - tracks["size"][rows])
        tracks["covariance"][rows] -= gain * covariance[:, :1]
        tracks["hits"][rows] += 1
        tracks["seen"][rows], tracks["seen_s"][rows] = True, self._time_s

    def _identify(self) -> None:
        counted = np.flatnonzero((self._tracks["id"] == 0) & (self._tracks["hits"] >= self.min_hits))
        self._tracks["id"][counted] = self._total.total() + 1 + np.arange(len(counted))
        self._total.update(self._tracks["name"][counted].tolist())


def _boxes(tracks: NDArray[Any]) -> NDArray[np.float64]:
    reach = tracks["size"] / 2
    return np.concatenate([tracks["center"] - reach, tracks["center"] + reach], axis=1)


def _centers_and_sizes(boxes: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = boxes.astype(np.float64)
    return (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
