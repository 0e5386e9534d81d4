"""VideoOptions: which frames of a video are processed, which objects are shown, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from detection_core.detections.tracking import LOW_SCORE
from detection_core.video.io import VideoFile
from detection_core.visualization import AnnotationStyle

_STYLE = AnnotationStyle()


@dataclass(frozen=True)
class VideoOptions:
    """Options for processing and annotating a video.

    Attributes:
        threshold: Lowest score shown, 0–1. With tracking, a new object needs this score; a known track continues down to 0.1.
        every: Process only frames 0, n, 2n …; None: all, or as set by `fps`.
        fps: Process at most this many frames per second; None: all, or as set by `every`.
        track: Whether objects get track ids and smoothed boxes.
        classes: Names of the classes that are drawn, counted and exported; None: all.
        style: Style of the annotated video; its keypoint threshold also decides which keypoints are visible in exports.
        sound: Whether the annotated video keeps the sound.

    Raises:
        ValueError: If a value is out of range, `classes` is a single name, or both `every` and `fps` are given.
    """

    threshold: float
    every: int | None = None
    fps: float | None = None
    track: bool = True
    classes: frozenset[str] | None = None
    style: AnnotationStyle = _STYLE
    sound: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie in 0–1, got {self.threshold}")
        # `in` would match parts of a single name.
        if isinstance(self.classes, str):
            raise ValueError(f"classes must be a set of names, got {self.classes!r}")
        if self.every is not None and self.fps is not None:
            raise ValueError("give either every or fps, not both")
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be 1 or more, got {self.every}")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"fps must be positive, got {self.fps}")

    @property
    def low_score(self) -> float:
        """Lowest score that continues a known track."""
        return min(LOW_SCORE, self.threshold)

    def rate(self, video: VideoFile) -> float:
        """Returns the average number of frames that are processed per second of a video."""
        return min(self.fps or math.inf, video.fps / (self.every or 1))

    def frames(self, video: VideoFile) -> int:
        """Estimates from a video's header how many of its frames will be processed; at least 1."""
        seconds = min(video.duration, video.limits.max_seconds)
        by_time = round(seconds * self.rate(video))
        by_count = by_time if video.frame_count is None or self.fps is not None else math.ceil(video.frame_count / (self.every or 1))
        return max(1, min(by_time, by_count) if seconds < video.duration else by_count)


def lowest_kept(model_floor: float, default: float, threshold: float = 1.0) -> float:
    """Returns the lowest score that is stored for a video's objects, so that a lower threshold can be chosen later.

    Args:
        model_floor: Lowest score that the model returns.
        default: The model's default threshold.
        threshold: The threshold chosen now, which must be possible in any case.
    """
    # Tracks continue down to the tracker's low score, so it never needs lower ones.
    return max(model_floor, min(LOW_SCORE, default / 2, threshold))
