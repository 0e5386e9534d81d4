"""What the page knows of the cluster's detectors: how many run, and the last report of each."""

from __future__ import annotations

from detection_core.engine.ray.messages import ClusterState, DetectorReport
from detection_core.models.catalog import list_specs
from detection_core.models.model_key import ModelKey
from detection_core.models.precision import Precision
from detection_core.models.residents import ResidentModel
from detection_core.models.weights import find_weights

# The best place that any detector has a model in counts.
_NEAREST_FIRST = ("in memory", "on disk", "to download", "not on this machine")
_USUAL_IN_FLIGHT = 2


class Detectors:
    """The detectors of a cluster. Not safe to use from several threads: its owner has a lock.

    Attributes:
        running: How many detectors run.
    """

    def __init__(self) -> None:
        self.running = 0
        self._reports: dict[str, DetectorReport] = {}

    @property
    def max_in_flight(self) -> int:
        """How many images keep all detectors busy; as many as one needs while none runs."""
        each = max((report.max_in_flight for report in self._reports.values()), default=_USUAL_IN_FLIGHT)
        return each * max(self.running, 1)

    @property
    def models(self) -> tuple[ResidentModel, ...]:
        """The models in memory, of all detectors."""
        return tuple(model for report in self._reports.values() for model in report.models)

    def update(self, state: ClusterState) -> None:
        """Takes in how many run; of those that have said nothing for longest as many are forgotten as have ended."""
        self.running = state.detectors
        if state.report is not None:
            self.add(state.report)
        while len(self._reports) > max(self.running, 1):
            self._reports.pop(next(iter(self._reports)))

    def add(self, report: DetectorReport) -> None:
        """Takes in what a detector has."""
        self._reports.pop(report.name, None)
        self._reports[report.name] = report

    def model_states(self) -> dict[str, str]:
        """Where each model is; until a detector has said so, as on this machine."""
        known: dict[str, str] = {}
        for report in self._reports.values():
            for key, state in report.states.items():
                known[key] = min(known.get(key, state), state, key=_NEAREST_FIRST.index)
        precisions = {ModelKey.parse(key).precision for key in known} or {Precision.EXACT, Precision.STOCK}
        in_memory = {model.key for model in self.models}
        states = {}
        for spec in list_specs():
            for variant in (spec.in_precision(precision) for precision in Precision if precision in precisions):
                # The detectors do not have users' files until they are sent with an image.
                here = "in memory" if variant.key in in_memory else "on disk" if find_weights(variant) else "to download"
                states[variant.key] = here if spec.source == "user" else known.get(variant.key, here)
        return states
