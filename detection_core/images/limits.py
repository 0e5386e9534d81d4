"""Limits on the size of images, and the error for images that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from detection_core.errors import UserError
from detection_core.settings import read_setting


class ImageError(UserError, ValueError):
    """Raised for an image that cannot be used. The message says what is wrong and what to do, and never contains a file name or path."""


@dataclass(frozen=True)
class ImageLimits:
    """The accepted image sizes; they are checked from the header, before anything is decoded.

    Attributes:
        max_pixels: Largest number of pixels, width × height.
        max_side: Largest length of a side in pixels.
        min_side: Smallest length of a side in pixels; below it detectors crash on empty feature maps.
        max_aspect: Largest ratio of the longer to the shorter side; beyond it the detectors' resizing crashes or runs out of memory.
    """

    max_pixels: int = 50_000_000
    max_side: int = 20_000
    min_side: int = 8
    max_aspect: float = 20.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ImageLimits:
        """Returns the limits, with `max_pixels` from DETECTION_EXPLORER_MAX_MEGAPIXELS if that is set.

        Raises:
            SettingsError: If the variable is not a positive number.
        """
        return cls(max_pixels=int(read_setting("max_megapixels", environ) * 1e6))

    def check(self, size: tuple[int, int]) -> None:
        """Checks a size against the limits.

        Args:
            size: (width, height) in pixels.

        Raises:
            ImageError: If the size is outside the limits.
        """
        width, height = size
        shown = f"The image has {width} × {height} pixels"
        if width * height > self.max_pixels:
            megapixels, allowed = width * height / 1e6, self.max_pixels / 1e6
            raise ImageError(f"{shown} ({megapixels:.4g} megapixels); at most {allowed:g} megapixels are allowed. Make it smaller first.")
        if max(size) > self.max_side:
            raise ImageError(f"{shown}; a side may have at most {self.max_side}. Make it smaller first.")
        if min(size) < self.min_side:
            raise ImageError(f"{shown}; each side needs at least {self.min_side}. Choose a larger image.")
        if max(size) > self.max_aspect * min(size):
            raise ImageError(f"{shown}; one side may be at most {self.max_aspect:g} times as long as the other. Crop it first.")


DEFAULT_LIMITS = ImageLimits()
