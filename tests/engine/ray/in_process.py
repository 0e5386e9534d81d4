"""A cluster in this process, for tests of the page's side without Ray: one detector, and a connection that can be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

from PIL import Image

from detection_core.engine import Job, JobState, LocalEngine, Stage
from detection_core.engine.ray.messages import Answer, Cancel, ClusterState, DetectorReport, Lost, Submit, Update
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.loader import ModelLoader


class InProcessLink:
    """Stands in for `ClusterLink`: runs calls through an engine as a detector would."""

    def __init__(self, loader: ModelLoader | None = None, detectors: int = 1) -> None:
        self.engine = LocalEngine(loader=loader, cores=1, kept_results=0)
        self.detectors = detectors
        self.jobs: dict[int, Job] = {}
        self.sent: list[Submit | Cancel] = []

    def __call__(self, _address: str, _detectors: Any, on_message: Callable[[Any], None]) -> InProcessLink:
        self.on_message = on_message
        return self

    def start(self) -> None:
        self.on_message(ClusterState(self.detectors, self._report()))

    def send(self, message: Submit | Cancel) -> None:
        self.sent.append(message)
        if isinstance(message, Cancel):
            self.jobs[message.number].cancel()
            return
        image = LoadedImage(Image.fromarray(message.pixels), (), "array", False, "")
        call = message.call
        if call.function is None:
            job = self.engine.submit(image, call.spec, measure=call.measure, keep=False, tasks=call.tasks)
        else:
            job = self.engine.call(call.function, image, call.spec)
        self.jobs[message.number] = job
        threading.Thread(target=self._report_on, args=(message.number, job), daemon=True).start()

    def lose(self) -> None:
        self.on_message(Lost("the head is gone"))

    def close(self) -> None:
        self.engine.close()

    def _report_on(self, number: int, job: Job) -> None:
        seen: JobState | None = None
        while wait([job.future], timeout=0.02).not_done:
            state = job.state
            if state != seen and state.stage is not Stage.DONE:
                seen = state
                self.on_message(Update(number, state))
        if job.cancelled:
            return
        error = job.future.exception()
        assert error is None or isinstance(error, UserError)
        self.on_message(Update(number, error or Answer(job.result(), self._report())))

    def _report(self) -> DetectorReport:
        engine = self.engine
        return DetectorReport("one", engine.model_states(), tuple(engine.loader.resident()), engine.max_in_flight)
