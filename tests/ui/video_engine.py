"""An engine that finds a person in every frame and, in the later ones, another or a dog; at once or when the test says so."""

from __future__ import annotations

import threading

import numpy as np

from detection_core.detections import Detections
from detection_core.engine import Job, JobState, Result, Stage
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.detector import Timings

# Videos of tests.video.io.videos become redder with every frame: from their tenth on, some red is above this.
_REDDER = 82


class VideoEngine:
    """Finds a person on the left with a score of 0.9 and, from the tenth frame on, one on the right with 0.6, or a dog if it knows dogs.

    Attributes:
        gate: Results come while it is set.
        failures: Errors that come in place of results, those of the next frames.
        refusals: Errors that come in place of jobs, likewise.
        frames: How many it has been given.
        keeps: What was said of keeping results.
    """

    # Frames come one after the other, as they are.
    max_in_flight = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.failures: list[Exception | None] = []
        self.refusals: list[Exception] = []
        self.frames = 0
        self.keeps: set[bool] = set()

    def submit(self, image: LoadedImage, spec: ModelSpec, *, visitor: str = "", measure: bool = False, keep: bool = True) -> Job:
        if self.refusals:
            raise self.refusals.pop(0)
        self.frames += 1
        self.keeps.add(keep)
        job = Job(spec, visitor)
        job.update(JobState(Stage.RUN))
        failure = self.failures.pop(0) if self.failures else None
        threading.Thread(target=self._answer, args=[job, _find(image, spec), failure], daemon=True).start()
        return job

    def _answer(self, job: Job, found: Detections, failure: Exception | None) -> None:
        self.gate.wait()
        if job.cancelled:
            return
        if failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(Result(found, Timings(network=0.02), job.spec))

    def cancel_visitor(self, visitor: str) -> None:
        pass

    def model_states(self) -> dict[str, str]:
        return {spec.key: "in memory" if spec.source == "embedded" else "to download" for spec in list_specs()}

    def close(self) -> None:
        pass


def _find(image: LoadedImage, spec: ModelSpec) -> Detections:
    width, height = image.image.size
    boxes = np.array([[2, 2, width / 2 - 2, height - 2], [width / 2 + 2, 2, width - 2, height - 2]], np.float32)
    n = 1 + (np.asarray(image.image)[..., 0].max() > _REDDER)
    scores = np.array([0.9, 0.6], np.float32)
    categories = spec.categories
    labels = np.array([1, categories.index("dog") if "dog" in categories else 1])
    return Detections(boxes[:n], labels[:n], scores[:n], (height, width), categories, model=spec.key)
