"""What models have been measured to cost on this machine, for everybody who compares them."""

from __future__ import annotations

import threading

from detection_core.catalog import UnknownModelError, get_spec
from detection_core.engine import Measurement
from detection_core.model_spec import ModelSpec
from detection_core.ui.components.compare_view import CompareCost, ComparePoint
from detection_core.ui.components.view_message import ViewTiming


class Measurements:
    """Remembers the last measurement of each model, and on which picture it was."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, Measurement]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, digest: str, measured: Measurement) -> None:
        """Remembers a measurement of a model on the picture of this digest; one of fewer runs on the same picture tells less."""
        with self._lock:
            earlier = self._last.get(key)
            if earlier is None or earlier[0] != digest or earlier[1].runs <= measured.runs:
                self._last[key] = digest, measured

    def cost(self, spec: ModelSpec, digest: str) -> CompareCost:
        """What a model costs on the picture of this digest, as far as that has been measured."""
        with self._lock:
            measured_on, measured = self._last.get(spec.key, ("", None))
        cost = CompareCost(box_ap=spec.metrics.get("box_map"), metrics_on=spec.metrics_on)
        if measured is None or measured_on != digest:
            return cost
        times = {"latency_ms": measured.median * 1000, "low_ms": measured.low * 1000, "high_ms": measured.high * 1000}
        parts = [ViewTiming(name=name, ms=seconds * 1000) for name, seconds in measured.parts.items()]
        memory = None if measured.memory is None else measured.memory / 1e6
        measured_cost: CompareCost = cost.model_copy(update={**times, "parts": parts, "runs": measured.runs, "memory_mb": memory})
        return measured_cost

    def points(self, compared: list[str]) -> list[ComparePoint]:
        """All models with known latency and accuracy, on whichever picture it was measured, and those being compared.

        Args:
            compared: Keys of the models being compared.
        """
        with self._lock:
            medians = {key: measured.median for key, (_, measured) in self._last.items()}
        points = []
        for key in dict.fromkeys([*compared, *medians]):
            try:
                spec = get_spec(key)
            except UnknownModelError:  # A user's model that has gone.
                continue
            latency = medians[key] * 1000 if key in medians else None
            accuracy = spec.metrics.get("box_map")
            points.append(ComparePoint(id=key, title=spec.title, latency_ms=latency, box_ap=accuracy, compared=key in compared))
        return points
