"""What Prometheus reads: the names of all metrics, and their values now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from detection_core.engine import Engine
from detection_core.models.model_key import weights_key
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.session import Place

# Label values that stand for all others, so that visitors cannot add any.
OWN_MODEL = "own"
OTHER_ACTION = "other"
_ACTIONS = frozenset(get_args(Place))
# Seconds: from a kept result to a video frame of a heavy model behind a long queue.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


def action_of(visitor: str) -> str:
    """The action that a visitor's job belongs to, from the name that `visitor_of` or `caller_of` gives them."""
    place = visitor.rpartition("/")[2]
    return place if place in _ACTIONS else OTHER_ACTION


def model_label(spec: ModelSpec) -> str:
    """The model's key in the catalog without its size; users choose the names of their own files, so those share one label."""
    return OWN_MODEL if spec.source == "user" else weights_key(spec.key)


class Metrics:
    """All metrics of one server, in a registry of their own.

    Attributes:
        actions: Jobs that have ended, by action, model and status ("ok", "error", "cancelled" or "refused").
        seconds: Time from a job's submission to its result.
        wait: Time that a job waited for the device, without loading.
        cache_hits: Jobs whose result was kept from an earlier one.
        errors: Jobs that failed, by the class of their error.
        responses: HTTP responses by kind of address and status.

    Args:
        engine: The engine whose queue and memory are reported.
    """

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        labels = ("action", "model")
        self.actions = self._counter("actions", "Images processed", (*labels, "status"))
        self.seconds = self._histogram("action_seconds", "Time from an image's submission to its result", labels)
        self.wait = self._histogram("queue_wait_seconds", "Time that an image waited for the device", ())
        self.cache_hits = self._counter("cache_hits", "Results that were kept from an earlier request", labels)
        self.errors = self._counter("errors", "Images that failed, by class of error", ("kind",))
        self.responses = self._counter("http_responses", "HTTP responses, by kind of address and status", ("kind", "status"))
        self._gauges = _Gauges(engine)
        self._registry.register(self._gauges)
        ProcessCollector(registry=self._registry)

    def add_gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Adds a gauge that is read at each scrape; its name gets the prefix that all have."""
        self._gauges.readers[_full_name(name)] = (help_text, read)

    def text(self) -> bytes:
        """All values in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, help_text: str, labels: Iterable[str]) -> Counter:
        return Counter(_full_name(name), help_text, tuple(labels), registry=self._registry)

    def _histogram(self, name: str, help_text: str, labels: Iterable[str]) -> Histogram:
        return Histogram(_full_name(name), help_text, tuple(labels), registry=self._registry, buckets=_BUCKETS)


class _Gauges(Collector):
    """The values that are read when they are requested."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.readers: dict[str, tuple[str, Callable[[], float]]] = {}

    def collect(self) -> Iterator[Metric]:
        status = self._engine.status()
        yield GaugeMetricFamily(_full_name("queue_length"), "Images that wait for a model or the device", status.waiting)
        yield GaugeMetricFamily(_full_name("running"), "Images that are in a model now", status.running)
        yield GaugeMetricFamily(_full_name("models_in_memory"), "Models in memory", len(status.models))
        yield GaugeMetricFamily(_full_name("models_bytes"), "Bytes of the models in memory", sum(model.bytes for model in status.models))
        for name, (help_text, read) in self.readers.items():
            yield GaugeMetricFamily(name, help_text, read())


def _full_name(name: str) -> str:
    return f"detection_explorer_{name}"
