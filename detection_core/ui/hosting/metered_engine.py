"""An engine that counts and logs what another one does, so that neither that one nor the tabs need to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, TypeVar

from detection_core.engine import Call, Engine, EngineStatus, Function, Job, Result
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.device import is_lack_of_memory
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec
from detection_core.ui.hosting.metrics import Metrics, action_of, model_label
from detection_core.ui.hosting.request_ids import ensure_request_id

logger = logging.getLogger(__name__)
_Job = TypeVar("_Job", bound=Job)


class MeteredEngine:
    """Passes everything on to an engine, and records each job when it ends.

    Args:
        engine: Where detection runs.
        metrics: Where jobs are counted.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self.max_in_flight = engine.max_in_flight

    def submit(
        self,
        image: LoadedImage,
        spec: ModelSpec,
        *,
        visitor: str = "",
        measure: bool = False,
        keep: bool = True,
        tasks: Collection[Task] | None = None,
    ) -> Job:
        """As the engine's own."""
        return self._record(
            spec, visitor, lambda: self._engine.submit(image, spec, visitor=visitor, measure=measure, keep=keep, tasks=tasks)
        )

    def call(self, function: Function, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Call:
        """As the engine's own."""
        return self._record(spec, visitor, lambda: self._engine.call(function, image, spec, visitor=visitor))

    def cancel_visitor(self, visitor: str) -> None:
        """As the engine's own."""
        self._engine.cancel_visitor(visitor)

    def model_states(self) -> dict[str, str]:
        """As the engine's own."""
        return self._engine.model_states()

    def run_seconds(self, *, first: bool = False) -> dict[str, float]:
        """As the engine's own."""
        return self._engine.run_seconds(first=first)

    def jobs_of_others(self, visitor: str) -> int:
        """As the engine's own."""
        return self._engine.jobs_of_others(visitor)

    def status(self) -> EngineStatus:
        """As the engine's own."""
        return self._engine.status()

    def close(self) -> None:
        """As the engine's own."""
        self._engine.close()

    def _record(self, spec: ModelSpec, visitor: str, submit: Callable[[], _Job]) -> _Job:
        """Submits a job and records it when it ends."""
        action, model, request_id = action_of(visitor), model_label(spec), ensure_request_id()
        started = time.monotonic()

        def record(status: str, error: BaseException | None = None) -> None:
            self._metrics.actions.labels(action, model, status).inc()
            facts = {"request_id": request_id, "action": action, "model": model, "status": status}
            if error is not None:
                self._metrics.errors.labels(kind_of(error)).inc()
                facts["kind"] = kind_of(error)
            # Messages of errors may name files; their classes do not.
            logger.info("action", extra={"facts": facts | {"seconds": round(time.monotonic() - started, 4)}})

        try:
            job = submit()
        except UserError as error:
            record("refused", error)
            raise

        def finish(future: Future[Any]) -> None:
            if future.cancelled():
                record("cancelled")
            elif (error := future.exception()) is not None:
                record("error", error)
            else:
                self._metrics.seconds.labels(action, model).observe(time.monotonic() - started)
                result = future.result()
                if isinstance(result, Result):
                    if result.kept:
                        self._metrics.cache_hits.labels(action, model).inc()
                    else:
                        self._metrics.wait.observe(result.timings.wait)
                record("ok")

        job.future.add_done_callback(finish)
        return job


def kind_of(error: BaseException) -> str:
    """The label of an error: its class, which is one of the package's own, or why an unexpected one happened."""
    cause = error.__cause__ or error
    if is_lack_of_memory(cause):
        return "OutOfMemory"
    return type(error).__name__ if isinstance(error, UserError) else "Unexpected"
