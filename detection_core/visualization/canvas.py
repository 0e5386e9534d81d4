"""Canvas: an antialiased transparent layer over an image, because Pillow's lines are jagged and have no round ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from detection_core.visualization.palette import BLACK, Color

_HALO_OPACITY = 0.5
_DOTS_PER_INCH = 72  # so that Agg's points are pixels


class Canvas:
    """Collects lines and dots in painter's order, and blends them into an image at the end.

    Coordinates are pixels with the origin in the upper left corner of the upper left pixel, as in `Detections`.

    Args:
        size: (width, height) in pixels, below 65,536 each.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        # Imported here, because the page starts without drawing, and matplotlib takes a fifth of a second to import.
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.path import Path
        from matplotlib.transforms import Affine2D

        self.size = size
        self._path, self._affine = Path, Affine2D
        self._agg = RendererAgg(*size, _DOTS_PER_INCH)
        self._to_agg = Affine2D().scale(1, -1).translate(0, size[1])

    def line(self, points: ArrayLike, width: float, color: Color, *, opacity: float = 1.0, closed: bool = False) -> None:
        """Draws a line with round ends and corners.

        Args:
            points: [P,2] in pixels.
            width: Width in pixels.
            color: Color of the line.
            opacity: Opacity, 0–1.
            closed: Whether the line returns to its first point.
        """
        vertices = np.asarray(points, float)
        if closed:
            vertices = np.concatenate([vertices, vertices[:1]])
        self._agg.draw_path(self._pen(width, color, opacity), self._path(vertices, closed=closed), self._to_agg)

    def halo(self, points: ArrayLike, width: float, *, closed: bool = False) -> None:
        """Draws a dark rim for a line of `width` pixels, so that the line is visible on any image; call it before `line`."""
        self.line(points, width + max(2.0, width / 2), BLACK, opacity=_HALO_OPACITY, closed=closed)

    def dot(self, center: tuple[float, float], radius: float, color: Color) -> None:
        """Draws a filled circle with a dark rim."""
        place = self._affine().scale(radius).translate(*center) + self._to_agg
        self._agg.draw_path(self._pen(max(1.0, radius / 3), BLACK, _HALO_OPACITY), self._path.unit_circle(), place, _unit(color))

    def put_on(self, image: Image.Image) -> None:
        """Blends everything drawn so far into an RGB `image` of the canvas's size, in place."""
        layer = Image.frombuffer("RGBA", self.size, self._agg.buffer_rgba(), "raw", "RGBA", 0, 1)
        if bounds := layer.getbbox():
            part = layer.crop(bounds)
            image.paste(part, bounds, part)

    def _pen(self, width: float, color: Color, opacity: float):  # type: ignore[no-untyped-def]
        pen = self._agg.new_gc()
        pen.set_linewidth(width)
        pen.set_foreground((*_unit(color), opacity), isRGBA=True)
        pen.set_joinstyle("round")
        pen.set_capstyle("round")
        return pen


def _unit(color: Color) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255, green / 255, blue / 255
