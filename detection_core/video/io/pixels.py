"""Converts a decoded frame to an upright 8-bit RGB image with square pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

# ITU-T H.273: matrix coefficients "unspecified"; transfer characteristics PQ and HLG.
_UNSPECIFIED_MATRIX = 2
_HDR_TRANSFERS = {16, 18}
# Below this height, a video that does not specify its color matrix is treated as standard definition, as in browsers.
_HD_HEIGHT = 720


@dataclass(frozen=True)
class Upright:
    """The rotation and scaling of all frames of one video, determined from the first frame.

    Attributes:
        scaled: (width, height) of a stored frame after scaling to square pixels.
        transposed: Whether rows become columns, before mirroring.
        mirrored: Whether left and right, and whether top and bottom, are exchanged.
    """

    scaled: tuple[int, int]
    transposed: bool
    mirrored: tuple[bool, bool]

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction | None) -> Upright:
        """Determines the rotation from a video's first frame, and the scaling from the aspect ratio (width / height) of its pixels."""
        a, b, c, d = _display_matrix(frame)
        transposed = abs(b) > abs(a)
        x, y = (c, b) if transposed else (a, d)
        return cls(_square(frame.width, frame.height, pixel_aspect), transposed, (x < 0, y < 0))

    @property
    def size(self) -> tuple[int, int]:
        """The (width, height) in pixels as shown."""
        width, height = self.scaled
        return (height, width) if self.transposed else (width, height)

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Returns a frame's pixels, uint8 [H,W,3], regardless of its size, format and depth."""
        width, height = self.scaled
        guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        matrix = guess if frame.colorspace == _UNSPECIFIED_MATRIX else None
        pixels = frame.reformat(width, height, "rgb24", src_colorspace=matrix).to_ndarray()
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        left_right, top_bottom = self.mirrored
        return np.ascontiguousarray(pixels[:: -1 if top_bottom else 1, :: -1 if left_right else 1])


def is_hdr(frame: VideoFrame) -> bool:
    """Returns whether the brightness of a frame is stored for HDR screens."""
    return int(frame.color_trc) in _HDR_TRANSFERS


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Returns the part of FFmpeg's display matrix that rotates: x' = a·x + c·y, y' = b·x + d·y."""
    # PyAV does not declare the types in this mapping.
    matrix: Buffer | None = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
    return a, b, c, d


def _square(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    # A ratio beyond 4:1 means that the header is wrong.
    if not pixel_aspect or not Fraction(1, 4) <= pixel_aspect <= 4:
        return width, height
    return max(1, round(width * pixel_aspect)), height
