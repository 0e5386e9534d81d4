"""Measured times of models for one frame of a video on this machine."""

from __future__ import annotations

import threading
from collections import OrderedDict

from detection_core.models.spec import ModelSpec

_REMEMBERED = 1000
# Within this ratio of pixels, times are alike: models resize frames anyway.
_ALIKE = 1.6
_Key = tuple[tuple[str, str], tuple[int, int]]


class FrameTimes:
    """Remembers seconds a frame by model and frame size; those not measured for longest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Key, float] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, spec: ModelSpec, size: tuple[int, int], seconds: float) -> None:
        """Remembers how long a frame of `size` (width, height) took, everything included."""
        with self._lock:
            self._known[spec.identity, size] = seconds
            self._known.move_to_end((spec.identity, size))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def get(self, spec: ModelSpec, size: tuple[int, int]) -> float | None:
        """Seconds a frame, from a video of about that size; None if there was none."""
        pixels = size[0] * size[1]
        with self._lock:
            alike = {known: seconds for (identity, known), seconds in self._known.items() if identity == spec.identity}
        ratios = {known: max(pixels / (known[0] * known[1]), known[0] * known[1] / pixels) for known in alike}
        nearest = min(ratios, key=lambda known: ratios[known], default=None)
        return alike[nearest] if nearest is not None and ratios[nearest] <= _ALIKE else None
