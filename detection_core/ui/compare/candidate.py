"""Candidate: one of the models compared on an image, from its job to its result or error."""

from __future__ import annotations

from dataclasses import dataclass

from detection_core.detections import Detections
from detection_core.engine import Cancelled, Engine, Job, Result, summarize
from detection_core.errors import UserError
from detection_core.formats import Provenance, provenance_of
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import get_model_spec
from detection_core.models.model_key import state_of
from detection_core.models.spec import ModelSpec
from detection_core.ui.compare.measurements import Measurements
from detection_core.ui.compare.view import CompareModel, compare_model, failed_model, waiting_model
from detection_core.ui.components.messages import ViewError, ViewStatus
from detection_core.ui.components.model_picker import megabytes
from detection_core.ui.shared.progress import explain, milliseconds, status_of

_IMPORTED_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class CandidateResult:
    """The result of one model, or of a file in its place.

    Attributes:
        title: The model's name for people.
        detections: All its detections.
        threshold: The default one.
        provenance: Where it comes from.
    """

    title: str
    detections: Detections
    threshold: float
    provenance: Provenance


def imported(title: str, detections: Detections) -> CandidateResult:
    """The result that a file holds."""
    return CandidateResult(title, detections, _IMPORTED_THRESHOLD, Provenance(model=title))


class Candidate:
    """A model and its job in the engine.

    Args:
        key: Key of the model, of which there may be none.
        engine: Where it runs.
        loaded: The image.
        visitor: The visitor who waits.
        may_download: Whether missing weights are downloaded; otherwise an error says how to download them.
    """

    def __init__(self, key: str, engine: Engine, loaded: LoadedImage, *, visitor: str, may_download: bool) -> None:
        self.key = key
        self.spec: ModelSpec | None = None
        self.result: CandidateResult | None = None
        self._loaded = loaded
        self._job: Job | None = None
        self._engine_result: Result | None = None
        self._error: ViewError | None = None
        self._message: CompareModel | None = None
        try:
            # Read once: a user's file may be gone at any time.
            self.spec = get_model_spec(key)
            if may_download or state_of(key, engine.model_states()) != "to download":
                self._job = engine.submit(loaded, self.spec, visitor=visitor)
            else:
                size = megabytes(self.spec.file_size)
                self._error = ViewError(title="Not downloaded yet", text=f"Press the button beside the image to download {size}.")
        except UserError as error:
            self._error = explain(error, key)

    @property
    def title(self) -> str:
        """The model's name for people."""
        return self.spec.title if self.spec else self.key

    @property
    def job(self) -> Job | None:
        """Its job, or None if there is nothing left to wait for."""
        return None if self._engine_result or self._error else self._job

    def update(self, measurements: Measurements) -> None:
        """Takes over the result or the error, if the job is done.

        Args:
            measurements: Gets the model's cost.
        """
        if self.job is None or not self.job.future.done():
            return
        assert self.spec is not None
        try:
            self._engine_result = self.job.result()
        except Cancelled:
            self._error = ViewError(title="Cancelled", text="What has been downloaded so far is kept.")
        except UserError as error:
            self._error = explain(error, self.key)
        else:
            self.result = CandidateResult(
                self.title, self._engine_result.detections, self.spec.default_threshold, provenance_of(self._engine_result.spec)
            )
            if measured := summarize([self._engine_result]):
                measurements.put(self.key, self._loaded.digest, measured)

    def message(self, measurements: Measurements) -> CompareModel:
        """Its present state for the view."""
        if self._error is not None or self.spec is None:
            return failed_model(self.key, self.title, self._error or ViewError(title="Detection failed", text=""))
        cost = measurements.cost(self.spec, self._loaded.digest)
        if self._message is not None:
            again: CompareModel = self._message.model_copy(update={"cost": cost})
            return again
        if self._engine_result is None or self.result is None:
            state = status_of(self._job.state, self.title) if self._job else ViewStatus(stage="queue", text="Waiting")
            return waiting_model(self.key, self.title, state, cost)
        # Polygons take time, so they are made once.
        self._message = compare_model(
            self.key,
            self.title,
            self.result.detections,
            threshold=self.result.threshold,
            floor=self.spec.min_score,
            timings=milliseconds(self._engine_result, 0),
            cost=cost,
        )
        return self._message


def imported_message(identity: str, result: CandidateResult) -> CompareModel:
    """A result from a file for the view."""
    return compare_model(identity, result.title, result.detections, threshold=result.threshold, linkable=False)
