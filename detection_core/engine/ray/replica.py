"""A detector on the cluster: a replica of the Ray Serve application, which runs images through an engine of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ray import serve

from detection_core.engine.base import Job, JobState, Stage
from detection_core.engine.local import LocalEngine
from detection_core.engine.ray.messages import Answer, Call, DetectorReport, FromDetector
from detection_core.engine.ray.settings import DEPLOYMENT
from detection_core.engine.ray.user_weights import local_copy
from detection_core.errors import UserError
from detection_core.images.reading import LoadedImage
from detection_core.models.loader import ModelLoader
from detection_core.process import configure_process

# Ray sends images to detectors that have their model, and lets the least recently used one go; the memory budget may keep fewer.
_MODELS = 8
# An image that is quicker than this needs no progress.
_STATE_SECONDS = 0.1
# Making a report takes 4 ms, so answers carry the same one until models come or go, or this time is over.
_REPORT_SECONDS = 1.0


class _RegisteredModel:
    """A model that Ray Serve counts as this detector's, from before it loads, so that it does not load on others meanwhile."""

    def __init__(self, key: str, loader: ModelLoader) -> None:
        self._key = key
        self._loader: ModelLoader | None = loader

    def __del__(self) -> None:
        # Ray calls this when it drops the model, and Python calls it again.
        if self._loader is not None:
            self._loader.unload(self._key)
            self._loader = None


class Detector:
    """Runs images through a `LocalEngine`, which loads models, shares cores, and gives a GPU several images of one size in one pass.

    Args:
        device: Where models run, as torch names it.
    """

    def __init__(self, device: str = "cpu") -> None:
        configure_process()
        self._engine = LocalEngine(device, kept_results=0)
        self._report: DetectorReport
        self._as_of: tuple[frozenset[str], float] | None = None

    async def detect(self, pixels: NDArray[np.uint8], call: Call, weights: NDArray[np.uint8] | None = None) -> AsyncIterator[FromDetector]:
        """Yields the states of a job or a call that takes long, and last its answer, or an error for the user.

        Args:
            pixels: RGB uint8 [H,W,3].
            call: What to do.
            weights: The bytes of a user's model file, or None for other models.
        """
        await self.registered_model(serve.get_multiplexed_model_id())
        job: Job | None = None
        try:
            spec = call.spec if weights is None else await asyncio.to_thread(local_copy, call.spec, weights)
            image = LoadedImage(Image.fromarray(pixels), (), "array", False, "")
            if call.function is None:
                job = self._engine.submit(image, spec, measure=call.measure, keep=False, tasks=call.tasks)
            else:
                job = self._engine.call(call.function, image, spec)
            result = asyncio.wrap_future(job.future)
            seen: JobState | None = None
            while not result.done():
                await asyncio.wait({result}, timeout=_STATE_SECONDS)
                state = job.state
                if state != seen and state.stage is not Stage.DONE:
                    seen = state
                    yield state
            yield Answer(result.result(), await self.report())
        except UserError as error:
            yield error
        finally:
            if job is not None:
                job.cancel()

    @serve.multiplexed(max_num_models_per_replica=_MODELS)  # type: ignore[untyped-decorator]
    async def registered_model(self, model_id: str) -> _RegisteredModel:
        """Lets Ray Serve know that this detector has a model; the engine loads it."""
        return _RegisteredModel(model_id.partition("#")[0], self._engine.loader)

    async def report(self) -> DetectorReport:
        """Says what this detector has."""
        as_of = self._engine.loader.resident_keys(), time.monotonic() // _REPORT_SECONDS
        if as_of != self._as_of:
            name = serve.get_replica_context().replica_tag
            models = tuple(self._engine.loader.resident())
            self._report = DetectorReport(name, self._engine.model_states(), models, self._engine.max_in_flight)
            self._as_of = as_of
        return self._report


def build(arguments: Mapping[str, str]) -> Any:
    """Builds the application for `serve deploy`, whose file sets the options of the deployment.

    Args:
        arguments: `device`, where models run, as torch names it.
    """
    return serve.deployment(name=DEPLOYMENT)(Detector).bind(arguments.get("device", "cpu"))
