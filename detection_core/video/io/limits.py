"""Which videos are accepted, and the one error for those that are not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from detection_core.environment import positive_number
from detection_core.errors import UserError
from detection_core.images.limits import ImageError, ImageLimits


class VideoError(UserError, ValueError):
    """A video that cannot be used. The message tells the user what is wrong and what to do, and never names a file or a path."""


@dataclass(frozen=True)
class VideoLimits:
    """Which videos are accepted; checked from the header, before the frames are decoded.

    Attributes:
        max_seconds: Longest duration. A video that is longer than its header says is read up to here.
        max_bytes: Largest file.
        frame: Sizes accepted of a frame as it is shown. The most pixels suffice for 4096 × 2304.
    """

    max_seconds: float = 600.0
    max_bytes: int = 200_000_000
    frame: ImageLimits = field(default_factory=lambda: ImageLimits(max_pixels=10_000_000, max_side=8192))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, default: VideoLimits | None = None) -> VideoLimits:
        """The limits with those that DETECTION_EXPLORER_MAX_VIDEO_SECONDS and DETECTION_EXPLORER_MAX_VIDEO_MEGABYTES set.

        Args:
            environ: The variables.
            default: What holds where they are not set; None is `VideoLimits()`.

        Raises:
            SettingsError: If a variable is not a positive number.
        """
        default = default or cls()
        seconds = positive_number(environ, "DETECTION_EXPLORER_MAX_VIDEO_SECONDS", 600)
        megabytes = positive_number(environ, "DETECTION_EXPLORER_MAX_VIDEO_MEGABYTES", 200)
        return cls(seconds or default.max_seconds, int(megabytes * 1e6) if megabytes else default.max_bytes, default.frame)

    def check_bytes(self, size: int) -> None:
        """Refuses a file's size in bytes.

        Raises:
            VideoError: If the file is larger than allowed.
        """
        if size > self.max_bytes:
            shown, allowed = f"{size / 1e6:.4g} MB", f"{self.max_bytes / 1e6:.4g} MB"
            raise VideoError(f"The video's file has {shown}; at most {allowed} are allowed. Cut it or compress it first.")

    def check_seconds(self, seconds: float) -> None:
        """Refuses a duration in seconds.

        Raises:
            VideoError: If the video is longer than allowed.
        """
        # Files end a fraction of a frame later than people cut them.
        if seconds > self.max_seconds + 0.5:
            raise VideoError(f"The video lasts {clock(seconds)}; at most {clock(self.max_seconds)} are allowed. Cut it first.")

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuses a frame's (width, height) in pixels.

        Raises:
            VideoError: If the size lies outside the limits.
        """
        try:
            self.frame.check(size)
        except ImageError as error:
            raise VideoError(str(error).replace("The image", "The video", 1).replace("larger image", "larger video")) from None


def clock(seconds: float) -> str:
    """A duration for people, such as "9.5 s", "12:30 min" or "1:02:03 h"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
