"""An engine without models: it gives what a test says, at once or when the test releases it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from detection_core.detections import Detections
from detection_core.engine import Call, EngineStatus, Function, Job, JobState, Result, Stage
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.detector import Timings
from detection_core.models.loader import ModelLoader
from tests.factories import make_detections

# Makes an image's detections for a model, or raises the error with which the job fails.
Find = Callable[[LoadedImage, ModelSpec], Detections]
# Videos of tests.video.io.videos become redder with every frame: from their tenth on, some red is above this.
_REDDER = 82


def three_objects(image: LoadedImage, spec: ModelSpec) -> Detections:
    """Three objects with masks and keypoints, of scores 0.95, 0.525 and 0.1, all of the model's first class."""
    size = (image.image.height, image.image.width)
    labels = [1, 1, 1]
    return make_detections(3, image_size=size, labels=labels, categories=spec.categories, masks=True, keypoints=True, model=spec.key)


def growing_crowd(image: LoadedImage, spec: ModelSpec) -> Detections:
    """A person on the left with a score of 0.9 and, from a video's tenth frame on, one on the right with 0.6, or a dog if the model can."""
    width, height = image.image.size
    boxes = np.array([[2, 2, width / 2 - 2, height - 2], [width / 2 + 2, 2, width - 2, height - 2]], np.float32)
    n = 1 + (np.asarray(image.image)[..., 0].max() > _REDDER)
    scores = np.array([0.9, 0.6], np.float32)
    categories = spec.categories
    labels = np.array([1, categories.index("dog") if "dog" in categories else 1])
    return Detections(boxes[:n], labels[:n], scores[:n], (height, width), categories, model=spec.key)


@dataclass
class Submission:
    """What `FakeEngine.submit` was given, and its job."""

    model: str
    measure: bool
    keep: bool
    tasks: Collection[str] | None
    job: Job


class FakeEngine:
    """An `Engine` that gives the detections of `find`.

    Attributes:
        find: Gives the detections.
        timings: Timings of all results.
        holds: Whether new jobs wait for `release`.
        stage: Stage of jobs that wait.
        delay: Seconds until a job that does not wait for `release` is done.
        failures: Errors of the next jobs, in place of their results; None for a result.
        refusals: Errors of the next calls of `submit`.
        submissions: All that have been accepted.
        states: Where models are; by default, those built in are in memory and all others to be downloaded.
        others: How many jobs other visitors have.
        loader: Loads the models for `call`, which runs its function on them.
    """

    # Frames come one after the other, as they are.
    max_in_flight = 1

    def __init__(
        self,
        find: Find = three_objects,
        *,
        timings: Timings | None = None,
        holds: bool = False,
        delay: float = 0,
        states: Callable[[], dict[str, str]] | None = None,
    ) -> None:
        self.find = find
        self.timings = timings or Timings(network=0.25)
        self.holds = holds
        self.stage = Stage.RUN
        self.delay = delay
        self.failures: list[Exception | None] = []
        self.refusals: list[Exception] = []
        self.submissions: list[Submission] = []
        self.states = states
        self.others = 0
        self.loader = ModelLoader()
        self._held: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def jobs(self) -> list[Job]:
        """All jobs."""
        return [submission.job for submission in self.submissions]

    @property
    def waiting(self) -> list[Job]:
        """Jobs that are not done."""
        return [job for job in self.jobs if not job.future.done()]

    def submit(
        self,
        image: LoadedImage,
        spec: ModelSpec,
        *,
        visitor: str = "",
        measure: bool = False,
        keep: bool = True,
        tasks: Collection[str] | None = None,
    ) -> Job:
        if self.refusals:
            raise self.refusals.pop(0)
        job = Job(spec, visitor)
        job.update(JobState(self.stage))
        failure = self.failures.pop(0) if self.failures else None
        outcome: Result | Exception
        try:
            outcome = failure or Result(self.find(image, spec), self.timings, spec, memory=1_000_000 if measure else None)
        except Exception as error:
            outcome = error
        with self._lock:
            self.submissions.append(Submission(spec.key, measure, keep, tasks, job))
            if self.holds:
                self._held.append(lambda: _finish(job, outcome))
                return job
        if self.delay:
            threading.Timer(self.delay, _finish, [job, outcome]).start()
        else:
            _finish(job, outcome)
        return job

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Call:
        """Runs the function on the model itself, as soon as `submit` would give a result."""
        if self.refusals:
            raise self.refusals.pop(0)
        call = Call(spec, visitor)
        call.update(JobState(self.stage))
        failure = self.failures.pop(0) if self.failures else None
        outcome = failure or function(self.loader.load(spec), spec, np.asarray(image.image))
        with self._lock:
            self.submissions.append(Submission(spec.key, False, False, None, call))
            if self.holds:
                self._held.append(lambda: _finish(call, outcome))
                return call
        _finish(call, outcome)
        return call

    def release(self) -> None:
        """Gives all jobs that wait their results, and later ones at once."""
        with self._lock:
            self.holds = False
            held, self._held = self._held, []
        for finish in held:
            finish()

    def cancel_visitor(self, visitor: str) -> None:
        pass

    def model_states(self) -> dict[str, str]:
        if self.states is not None:
            return self.states()
        return {spec.key: "in memory" if spec.source == "embedded" else "to download" for spec in list_specs()}

    def run_seconds(self, *, first: bool = False) -> dict[str, float]:
        return {}

    def jobs_of_others(self, visitor: str) -> int:
        return self.others

    def status(self) -> EngineStatus:
        return EngineStatus(len(self.waiting), 0, ())

    def close(self) -> None:
        pass


def _finish(job: Job, outcome: Any) -> None:
    if not job.future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        job.future.set_exception(outcome)
    else:
        job.future.set_result(outcome)
