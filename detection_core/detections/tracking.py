"""Tracking: assigns ids to the objects of consecutive frames and smooths their boxes. Arrays and names only; no torch, no images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.core import Detections
from detection_core.detections.matching import iou_matrix, match, same_names

# Standard deviations of a constant-velocity Kalman filter, in units of the object's size: the gain then depends on time alone.
_BOX_STD = 0.05  # as in DeepSORT
_NEW_VELOCITY_STD = 2.0  # per second; people who walk past move by 1–2
_VELOCITY_CHANGE_STD = 2.0  # after one second; lower values are smoother, but lose objects that turn
_LONGEST_STEP_S = 10.0  # after a longer gap the prediction is worthless
# Default of the lowest score that continues a known track.
LOW_SCORE = 0.1
_LOW_SCORE_IOU = 0.5  # as in ByteTrack: objects with a low score must be close to where they are expected
_TRACK = np.dtype(
    [
        ("id", np.int64),  # 0 until the object is confirmed
        ("name", object),
        ("hits", np.int64),
        ("seen", np.bool_),  # in the latest frame
        ("seen_s", np.float64),
        ("center", np.float64, 2),
        ("size", np.float64, 2),
        ("velocity", np.float64, 2),
        ("covariance", np.float64, (2, 2)),  # of position and velocity, in squares of the size
    ]
)


@dataclass(frozen=True, eq=False)
class TrackedDetections:
    """The confirmed objects of one frame, in the detector's order.

    Attributes:
        detections: The detections, with smoothed boxes clipped to the image; scores, masks and keypoints are those of this frame.
        ids: int64 [N], from 1: the same in all frames, and never reused.
        indices: int64 [N], their indices among the objects passed to the tracker.
        velocities: float32 [N,2], velocity of their centers in pixels per second; 0 for new objects.
    """

    detections: Detections
    ids: NDArray[np.int64]
    indices: NDArray[np.int64]
    velocities: NDArray[np.float32]


@dataclass(frozen=True)
class Counts:
    """Numbers of objects by class name, most frequent first: `in_view` in the latest frame, `total` since the start."""

    in_view: dict[str, int]
    total: dict[str, int]


class Tracker:
    """Tracks the objects of one stream or video as ByteTrack does (Zhang et al., ECCV 2022), but by time instead of by frame.

    Objects keep their class. High scores are matched first; low ones only continue tracks that were seen in the previous frame.

    Args:
        high_score: Lowest score that starts a track or finds a lost one again, 0–1; for example the model's default threshold.
        low_score: Lowest score that continues a known track, 0–1.
        iou: Lowest IoU of an object with its predicted box, above 0 and up to 1.
        min_hits: Consecutive frames in which a new object must be seen to be confirmed, 1 or more. Choose 1 at low frame rates.
        max_unseen_s: Seconds for which an object keeps its id without being seen.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self, *, high_score: float = 0.5, low_score: float = LOW_SCORE, iou: float = 0.2, min_hits: int = 2, max_unseen_s: float = 1.0
    ) -> None:
        if not (0 <= low_score <= 1 and 0 <= high_score <= 1 and 0 < iou <= 1 and min_hits >= 1 and 0 <= max_unseen_s < np.inf):
            raise ValueError(
                "low_score and high_score must lie in 0–1, iou above 0 and up to 1, min_hits from 1, max_unseen_s finite and from 0"
            )
        self.high_score, self.low_score, self.iou, self.min_hits, self.max_unseen_s = high_score, low_score, iou, min_hits, max_unseen_s
        self.reset()

    def reset(self) -> None:
        """Removes all tracks; ids start at 1 again."""
        self._tracks: NDArray[Any] = np.zeros(0, _TRACK)
        self._total: Counter[str] = Counter()
        self._time_s = -np.inf
        self._image_size: tuple[int, int] | None = None

    def counts(self) -> Counts:
        """Counts the confirmed objects in the latest frame and since the start."""
        shown = self._tracks[self._tracks["seen"] & (self._tracks["id"] > 0)]
        return Counts(dict(Counter(shown["name"].tolist()).most_common()), dict(self._total.most_common()))

    def update(self, detections: Detections, time_s: float) -> TrackedDetections:
        """Processes the next frame. All tracks end when the frame's size changes, as when a phone is turned.

        Args:
            detections: All objects that the model found, including low scores.
            time_s: Time of the frame in seconds, from any clock that does not go back.

        Raises:
            ValueError: If the frame is older than the previous one, or `time_s` is not finite.
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
        confirmed = tracks[rows[found]]
        height, width = detections.image_size
        boxes = _boxes(confirmed).clip(0, (width, height, width, height)).astype(np.float32)
        return TrackedDetections(replace(detections[found], boxes=boxes), confirmed["id"], found, confirmed["velocity"].astype(np.float32))

    def _predict(self, seconds: float) -> None:
        tracks, move = self._tracks, np.array([[1, seconds], [0, 1]])
        change = _VELOCITY_CHANGE_STD**2 * np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
        tracks["center"] += seconds * tracks["velocity"]
        tracks["covariance"] = move @ tracks["covariance"] @ move.T + change
        tracks["seen"] = False

    def _assign(self, detections: Detections, recent: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Returns the row of each object's track, or -1, and starts tracks for unmatched objects with a high score."""
        tracks, scores, boxes = self._tracks, detections.scores, detections.boxes
        known, has_area = tracks["id"] > 0, (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        high, low = has_area & (scores >= self.high_score), (scores >= self.low_score) & (scores < self.high_score)
        overlaps, free = iou_matrix(_boxes(tracks), boxes), same_names(tracks["name"].tolist(), detections.names)
        rows = np.full(len(detections), -1)
        for candidates, objects, iou in ((known, high, self.iou), (known & recent, low, _LOW_SCORE_IOU), (~known, high, self.iou)):
            for row, index in match(overlaps, free & np.outer(candidates, objects), iou):
                rows[index], free[row], free[:, index] = row, False, False
        new = np.flatnonzero(high & (rows < 0))
        rows[new] = len(tracks) + np.arange(len(new))
        started = np.zeros(len(new), _TRACK)
        started["name"] = np.array(detections.names, object)[new]
        started["center"], started["size"] = _centers_and_sizes(boxes[new])
        started["covariance"] = np.diag([_BOX_STD**2, _NEW_VELOCITY_STD**2])
        self._tracks = np.concatenate([tracks, started])
        return rows

    def _correct(self, rows: NDArray[np.int64], boxes: NDArray[np.float32]) -> None:
        """Moves tracks towards the measured boxes. Sizes have no velocity: they change mostly with the pose."""
        tracks, covariance, (center, size) = self._tracks, self._tracks["covariance"][rows], _centers_and_sizes(boxes)
        gain = covariance[:, :, :1] / (covariance[:, :1, :1] + _BOX_STD**2)
        innovation = center - tracks["center"][rows]
        tracks["center"][rows] += gain[:, 0] * innovation
        tracks["velocity"][rows] += gain[:, 1] * innovation
        tracks["size"][rows] += gain[:, 0] * (size - tracks["size"][rows])
        tracks["covariance"][rows] -= gain * covariance[:, :1]
        tracks["hits"][rows] += 1
        tracks["seen"][rows], tracks["seen_s"][rows] = True, self._time_s

    def _identify(self) -> None:
        counted = np.flatnonzero((self._tracks["id"] == 0) & (self._tracks["hits"] >= self.min_hits))
        self._tracks["id"][counted] = self._total.total() + 1 + np.arange(len(counted))
        self._total.update(self._tracks["name"][counted].tolist())


def _boxes(tracks: NDArray[Any]) -> NDArray[np.float64]:
    half = tracks["size"] / 2
    return np.concatenate([tracks["center"] - half, tracks["center"] + half], axis=1)


def _centers_and_sizes(boxes: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = boxes.astype(np.float64)
    return (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
