"""Limits on videos, and the error for videos that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from detection_core.errors import UserError
from detection_core.images.limits import ImageError, ImageLimits
from detection_core.settings import read_setting


class VideoError(UserError, ValueError):
    """Raised for a video that cannot be used. The message says what is wrong and what to do, and never contains a file name or path."""


@dataclass(frozen=True)
class VideoLimits:
    """The limits on videos; they are checked from the header, before frames are decoded.

    Attributes:
        max_seconds: Longest duration. A video that is longer than its header says is read up to this time.
        max_bytes: Largest file size.
        frame: Accepted sizes of a frame as it is shown. The number of pixels is sufficient for 4096 × 2304.
    """

    max_seconds: float = 600.0
    max_bytes: int = 200_000_000
    frame: ImageLimits = field(default_factory=lambda: ImageLimits(max_pixels=10_000_000, max_side=8192))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, default: VideoLimits | None = None) -> VideoLimits:
        """Returns the limits set by DETECTION_EXPLORER_MAX_VIDEO_SECONDS and DETECTION_EXPLORER_MAX_VIDEO_MEGABYTES.

        Args:
            environ: The environment variables.
            default: The limits where they are not set; None is `VideoLimits()`.

        Raises:
            SettingsError: If a variable is not a positive number.
        """
        default = default or cls()
        seconds = read_setting("max_video_seconds", environ, default.max_seconds)
        megabytes = read_setting("max_video_megabytes", environ, None)
        return cls(seconds, default.max_bytes if megabytes is None else int(megabytes * 1e6), default.frame)

    def check_bytes(self, size: int) -> None:
        """Checks a file's size in bytes.

        Raises:
            VideoError: If the file is larger than allowed.
        """
        if size > self.max_bytes:
            shown, allowed = f"{size / 1e6:.4g} MB", f"{self.max_bytes / 1e6:.4g} MB"
            raise VideoError(f"The video file has {shown}; at most {allowed} are allowed. Cut it or compress it first.")

    def check_seconds(self, seconds: float) -> None:
        """Checks a duration in seconds.

        Raises:
            VideoError: If the video is longer than allowed.
        """
        # Files end a fraction of a frame later than where they were cut.
        if seconds > self.max_seconds + 0.5:
            raise VideoError(f"The video lasts {clock(seconds)}; at most {clock(self.max_seconds)} are allowed. Cut it first.")

    def check_size(self, size: tuple[int, int]) -> None:
        """Checks a frame's (width, height) in pixels.

        Raises:
            VideoError: If the size is outside the limits.
        """
        try:
            self.frame.check(size)
        except ImageError as error:
            raise VideoError(str(error).replace("The image", "The video", 1).replace("larger image", "larger video")) from None


def clock(seconds: float) -> str:
    """Formats a duration, such as "9.5 s", "12:30 min" or "1:02:03 h"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
