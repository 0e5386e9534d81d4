"""An engine that finds three things in every image, at once or when the test says so."""

from __future__ import annotations

from detection_core.engine import Job, JobState, Result, Stage
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.detector import Timings
from tests.factories import make_detections


class BatchEngine:
    """Gives three objects with masks and keypoints, of scores 0.95, 0.525 and 0.1, all of the model's first class.

    Attributes:
        holds: Whether new jobs wait for `release`.
        held: Jobs that wait.
    """

    def __init__(self, *, holds: bool = False) -> None:
        self.holds = holds
        self.held: list[tuple[Job, Result]] = []

    def submit(self, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Job:
        job = Job(spec, visitor)
        job.update(JobState(Stage.RUN))
        size = (image.image.height, image.image.width)
        found = make_detections(
            3, image_size=size, labels=[1, 1, 1], categories=spec.categories, masks=True, keypoints=True, model=spec.key
        )
        self.held.append((job, Result(found, Timings(network=0.25), spec)))
        if not self.holds:
            self.release()
        return job

    def release(self) -> None:
        """Lets all jobs that wait have their results."""
        self.holds = False
        while self.held:
            job, result = self.held.pop()
            if not job.cancelled:
                job.future.set_result(result)

    def cancel_visitor(self, visitor: str) -> None:
        pass

    def model_states(self) -> dict[str, str]:
        return {spec.key: "in memory" if spec.source == "embedded" else "to download" for spec in list_specs()}

    def close(self) -> None:
        pass
