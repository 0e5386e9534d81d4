"""ComparisonRun: one image on its way through all models of a comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

from detection_core.images.reading import LoadedImage
from detection_core.ui.compare.candidate import Candidate, CandidateResult, imported_message
from detection_core.ui.compare.download import KeptComparison
from detection_core.ui.compare.measurements import Measurements
from detection_core.ui.compare.view import CompareMessage, compare_payload


class ComparisonRun:
    """The models of a comparison and their results so far.

    Args:
        path: The image as it was given.
        loaded: The image.
        candidates: The models.
        imported: Results from files, by an id.
        measurements: Costs of models, to which those of this run are added.
    """

    def __init__(
        self,
        path: Path,
        loaded: LoadedImage,
        candidates: Sequence[Candidate],
        imported: Mapping[str, CandidateResult],
        measurements: Measurements,
    ) -> None:
        self._path = path
        self._loaded = loaded
        self._candidates = candidates
        self._imported = imported
        self._measurements = measurements

    @property
    def is_waiting(self) -> bool:
        """Whether a model's result is still missing."""
        return any(candidate.job for candidate in self._candidates)

    def wait(self, seconds: float) -> bool:
        """Waits for the next result, and collects what there is.

        Returns:
            Whether anything has changed.
        """
        jobs = [candidate.job for candidate in self._candidates if candidate.job]
        before = [job.state for job in jobs]
        wait([job.future for job in jobs], seconds, FIRST_COMPLETED)
        for candidate in self._candidates:
            candidate.update(self._measurements)
        return before != [candidate.job.state for candidate in self._candidates if candidate.job]

    def message(self, image_file: str, link_name: str, notes: Iterable[str], link: Mapping[str, Any]) -> CompareMessage:
        """Everything that is known now, for the view.

        Args:
            image_file: The image as the browser shows it.
            link_name: What links call the image.
            notes: Remarks on the comparison.
            link: Settings from a link, to be restored.
        """
        models = [candidate.message(self._measurements) for candidate in self._candidates]
        return compare_payload(
            image_file,
            (self._loaded.image.height, self._loaded.image.width),
            [*models, *(imported_message(name, result) for name, result in self._imported.items())],
            link_name=link_name,
            points=self._measurements.points([candidate.key for candidate in self._candidates]),
            notes=[*self._loaded.notes, *notes],
            restore=link or None,
        )

    def kept(self) -> KeptComparison:
        """The results so far, to be downloaded as they are seen."""
        found = {candidate.key: candidate.result for candidate in self._candidates if candidate.result}
        return KeptComparison(self._path, {**found, **self._imported})
