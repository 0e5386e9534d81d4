"""Measured costs of models on this machine, shared by all visitors."""

from __future__ import annotations

import threading
from collections import OrderedDict

from detection_core.engine import Measurement
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.model_key import VariantError
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.ui.compare.view import CompareCost, ComparePoint
from detection_core.ui.components.messages import ViewTiming

_REMEMBERED = 1000


class Measurements:
    """Keeps each model's measurements for each image, by the image's digest; the least recently used are dropped."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Measurement] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: str, digest: str, measured: Measurement) -> None:
        """Keeps a measurement, unless there is one of more runs on the same image."""
        with self._lock:
            earlier = self._known.get((key, digest))
            if earlier is None or earlier.runs <= measured.runs:
                self._known[key, digest] = measured
            self._known.move_to_end((key, digest))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def cost(self, spec: ModelSpec, digest: str) -> CompareCost:
        """The cost of a model on the image of this digest, as far as it has been measured."""
        with self._lock:
            measured = self._known.get((spec.key, digest))
        accuracy = _measured_accuracy(spec)
        cost = CompareCost(box_ap=accuracy, metrics_on="" if accuracy is None else spec.metrics_on)
        if measured is None:
            return cost
        times = {"latency_ms": measured.median * 1000, "low_ms": measured.low * 1000, "high_ms": measured.high * 1000}
        parts = [ViewTiming(name=name, ms=seconds * 1000) for name, seconds in measured.parts.items()]
        memory = None if measured.memory is None else measured.memory / 1e6
        measured_cost: CompareCost = cost.model_copy(update={**times, "parts": parts, "runs": measured.runs, "memory_mb": memory})
        return measured_cost

    def points(self, compared: list[str]) -> list[ComparePoint]:
        """All models with a measured latency, on whichever image, and those being compared.

        Args:
            compared: Keys of the models being compared.
        """
        with self._lock:
            # The last of each model wins.
            medians = {key: measured.median for (key, _), measured in self._known.items()}
        points = []
        for key in dict.fromkeys([*compared, *medians]):
            try:
                spec = get_model_spec(key)
            except (UnknownModelError, VariantError):  # A user's model that has gone.
                continue
            latency = medians[key] * 1000 if key in medians else None
            accuracy = _measured_accuracy(spec)
            points.append(ComparePoint(id=key, title=spec.title, latency_ms=latency, box_ap=accuracy, compared=key in compared))
        return points


def _measured_accuracy(spec: ModelSpec) -> float | None:
    """Average precision of the boxes in percent; None in fast precision and at other input sizes, where it has not been measured."""
    is_published = spec.precision is not Precision.FAST and spec.input_size is None and spec.slices is None
    return spec.metrics.get("box_map") if is_published else None
