"""Candidate: one of the models compared on an image, from being asked to its result or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from detection_core.detections import Detections
from detection_core.engine import Cancelled, Engine, Job, Result, summarize
from detection_core.errors import UserError
from detection_core.formats import Provenance, provenance_of
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import get_model_spec
from detection_core.models.spec import ModelSpec
from detection_core.ui.compare.measurements import Measurements
from detection_core.ui.compare.view import CompareModel, compare_model, failed_model, waiting_model
from detection_core.ui.components.messages import ViewError, ViewStatus
from detection_core.ui.components.model_picker import megabytes
from detection_core.ui.shared.progress import explain, milliseconds, status_of

_IMPORTED_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class CandidateResult:
    """What one model found, or what a file says that one did.

    Attributes:
        title: Its name for people.
        detections: Everything that was found.
        threshold: The default one.
        provenance: Where it comes from.
    """

    title: str
    detections: Detections
    threshold: float
    provenance: Provenance


def imported(title: str, detections: Detections) -> CandidateResult:
    """The finding that a file brings."""
    return CandidateResult(title, detections, _IMPORTED_THRESHOLD, Provenance(model=title))


class Candidate:
    """A model on its way through the engine.

    Args:
        key: Key of the model, of which there may be none.
        engine: Where it runs.
        loaded: The image.
        visitor: Whoever waits.
        may_download: Whether weights that are not here are fetched, or the visitor is told to ask for them.
    """

    def __init__(self, key: str, engine: Engine, loaded: LoadedImage, *, visitor: str, may_download: bool) -> None:
        self.key = key
        self.spec: ModelSpec | None = None
        self.finding: CandidateResult | None = None
        self._loaded = loaded
        self._job: Job | None = None
        self._result: Result | None = None
        self._error: ViewError | None = None
        self._message: CompareModel | None = None
        try:
            # Looked up once: a user's file may be gone at any time.
            self.spec = get_model_spec(key)
            if may_download or engine.model_states().get(key) != "to download":
                self._job = engine.submit(loaded, self.spec, visitor=visitor)
            else:
                size = megabytes(self.spec.file_size)
                self._error = ViewError(title="Not on this machine yet", text=f"The button beside the image downloads its {size}.")
        except UserError as error:
            self._error = explain(error, key)

    @property
    def title(self) -> str:
        """The model's name for people."""
        return self.spec.title if self.spec else self.key

    @property
    def job(self) -> Job | None:
        """What it waits for, or None when there is nothing to wait for any more."""
        return None if self._result or self._error else self._job

    def look(self, measurements: Measurements) -> bool:
        """Takes over what has come in.

        Args:
            measurements: Learns what it cost.

        Returns:
            Whether that was its result or its failure.
        """
        if self.job is None or not self.job.future.done():
            return False
        assert self.spec is not None
        try:
            self._result = self.job.result()
        except Cancelled:
            self._error = ViewError(title="Cancelled", text="What has arrived of a download is kept.")
        except UserError as error:
            self._error = explain(error, self.key)
        else:
            self.finding = CandidateResult(
                self.title, self._result.detections, self.spec.default_threshold, provenance_of(self._result.spec)
            )
            if measured := summarize([self._result]):
                measurements.put(self.key, self._loaded.digest, measured)
        return True

    def message(self, measurements: Measurements) -> CompareModel:
        """What the view shows of it now."""
        if self._error is not None or self.spec is None:
            return failed_model(self.key, self.title, self._error or ViewError(title="Detection failed", text=""))
        cost = measurements.cost(self.spec, self._loaded.digest)
        if self._message is not None:
            again: CompareModel = self._message.model_copy(update={"cost": cost})
            return again
        if self._result is None or self.finding is None:
            state = status_of(self._job.state, self.title) if self._job else ViewStatus(stage="queue", text="Waiting")
            return waiting_model(self.key, self.title, state, cost)
        # Its outlines take time: they are made once.
        self._message = compare_model(
            self.key,
            self.title,
            self.finding.detections,
            threshold=self.finding.threshold,
            floor=self.spec.min_score,
            timings=milliseconds(self._result, 0),
            cost=cost,
        )
        return self._message


def imported_message(identity: str, finding: CandidateResult) -> CompareModel:
    """What the view shows of a finding from a file."""
    return compare_model(identity, finding.title, finding.detections, threshold=finding.threshold, linkable=False)
