"""VideoOptions: which frames of a video are looked at, what of them is shown and how, as one validated value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from detection_core.detections.tracking import LOW_SCORE
from detection_core.video.io import VideoFile
from detection_core.visualization import AnnotationStyle

_STYLE = AnnotationStyle()


@dataclass(frozen=True)
class VideoOptions:
    """How a video is looked at and shown.

    Attributes:
        threshold: Lowest score shown, 0–1. With tracking, it is what a newcomer needs; those known are followed down to 0.1.
        every: Only frames 0, n, 2n … are looked at; None: all, or as `fps` says.
        fps: At most so many frames per second are looked at; None: all, or as `every` says.
        track: Whether objects have an identity and steadier boxes.
        classes: Names of the classes that are shown: drawn, counted and exported; None: all.
        style: How the annotated video is drawn; its keypoint threshold also says which keypoints exports call visible.
        sound: Whether it keeps the video's sound.

    Raises:
        ValueError: If a value is out of its range, `classes` is a single name, or both `every` and `fps` are given.
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
        # `in` would find parts of the one name.
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
        """Lowest score at which an object that is known is still believed in."""
        return min(LOW_SCORE, self.threshold)

    def rate(self, video: VideoFile) -> float:
        """How many frames of a video are looked at for each of its seconds, on average."""
        return min(self.fps or math.inf, video.fps / (self.every or 1))

    def frames(self, video: VideoFile) -> int:
        """How many frames of a video will be looked at, as far as its header tells; at least 1."""
        seconds = min(video.duration, video.limits.max_seconds)
        by_time = round(seconds * self.rate(video))
        by_count = by_time if video.frame_count is None or self.fps is not None else math.ceil(video.frame_count / (self.every or 1))
        return max(1, min(by_time, by_count) if seconds < video.duration else by_count)


def lowest_kept(model_floor: float, default: float, threshold: float = 1.0) -> float:
    """From which score on a video's objects are kept, so that a threshold chosen later finds them.

    Args:
        model_floor: Lowest score that the model gives.
        default: Its default threshold.
        threshold: The one chosen now, which must be served in any case.
    """
    # The tracker goes on with objects down to its low score, so nothing below is worth keeping for it.
    return max(model_floor, min(LOW_SCORE, default / 2, threshold))
