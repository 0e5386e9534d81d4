"""Saliency maps for visitors: the quick one, and D-RISE, whose runs of the model each wait in the engine's queue like any other image."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.engine import Cancelled, Engine, EngineBusyError, Result
from detection_core.errors import UserError
from detection_core.explanation import GradientMap, SaliencyCancelled, SaliencyProgress, drise
from detection_core.explanation.drawing import draw_map
from detection_core.explanation.query import box_of
from detection_core.explanation.report import box_in_region
from detection_core.images.reading import LoadedImage
from detection_core.models.families import Task
from detection_core.ui.components.client_values import bounded, mapping_of
from detection_core.ui.explain.questions import UnclearQuestionError, image_url
from detection_core.ui.explain.recordings import ExplanationExpiredError, KeptRecording, Recordings
from detection_core.ui.shared.uploads import read_upload
from detection_core.ui.shared.visitor_store import VisitorStore

# With fewer the map is mostly noise.
MASKS = (500, 1000, 2000)
# Longest side in pixels of the image whose parts are hidden; larger ones only cost time.
_MAX_SIDE = 1024
_KEPT = 32
_ONLY_BOXES: tuple[Task, ...] = ("boxes",)
# Maps that are computed at a time; each of them has one image in the engine.
_TOGETHER = 4
# Seconds without a question after which the visitor has gone, and between two tries where the engine is full.
_PATIENCE = 20.0
_PAUSE = 1.0
# How long an answer waits for news.
_POLL_SECONDS = 0.5

Response = dict[str, Any]


@dataclass(eq=False)
class SaliencyRun:
    """The computation of one map.

    Attributes:
        masks: How often the model runs.
        progress: How far it is; None while it waits to begin.
        image: The map over the image, as a URL, once it is there.
        error: Why there is none, in a sentence.
        stopped: Set to end it.
        asked: When the browser last asked for it.
    """

    masks: int
    progress: SaliencyProgress | None = None
    image: str = ""
    error: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)
    asked: float = field(default_factory=time.monotonic)

    def is_unwanted(self) -> bool:
        """Whether it was stopped, or the browser no longer asks for it."""
        return self.stopped.is_set() or time.monotonic() - self.asked > _PATIENCE


class SaliencyRuns(VisitorStore[SaliencyRun]):
    """The computations under the tokens of their recordings; the methods from `cost` to `stop` are server functions.

    Args:
        engine: Where the models run.
        recordings: Where recordings are kept.
    """

    def __init__(self, engine: Engine, recordings: Recordings) -> None:
        super().__init__(ExplanationExpiredError, _KEPT)
        self._engine = engine
        self._recordings = recordings
        self._turns = threading.Semaphore(_TOGETHER)

    async def cost(self, sent: object) -> Response:
        """About how many `seconds` one run of a map takes here, if no other images wait; the model runs if its time is not known."""
        kept = self._recordings.get(mapping_of(sent).get("recording"))
        if kept is None:
            return {"error": str(ExplanationExpiredError()), "expired": True}
        known = self._engine.run_seconds().get(kept.spec.in_slices(None).key)
        if known is not None:
            return {"seconds": known}
        try:
            image = await to_thread.run_sync(_region_of, kept)
            result = await self._run_once(image, kept)
            # The first run after a load is slower than the others.
            if result.first_run:
                result = await self._run_once(image, kept)
        except (UserError, asyncio.CancelledError) as error:
            return {"error": str(error) or "Cancelled."}
        return {"seconds": result.timings.network + result.timings.post}

    async def quick(self, sent: object) -> Response:
        """The quick map of object `number` of a recording, as `image`."""
        request = mapping_of(sent)
        kept = self._recordings.get(request.get("recording"))
        if kept is None:
            return {"error": str(ExplanationExpiredError()), "expired": True}
        try:
            number = _number_of(request, kept)
            image = await to_thread.run_sync(read_upload, kept.result.image_path)
            compute = GradientMap.of(kept.recording, number)
            heat = await asyncio.wrap_future(self._engine.call(compute, image, kept.recording.spec, visitor=kept.visitor).future)
            return {"image": await to_thread.run_sync(lambda: image_url(draw_map(_reduced(image.image.crop(kept.recording.region)), heat)))}
        except (UserError, asyncio.CancelledError) as error:
            return {"error": str(error) or "Cancelled."}

    async def begin(self, sent: object) -> Response:
        """Begins the map of object `number` of a recording with so many `masks`, in place of one before."""
        request = mapping_of(sent)
        token = request.get("recording")
        kept = self._recordings.get(token)
        if kept is None:
            return {"error": str(ExplanationExpiredError()), "expired": True}
        try:
            number = _number_of(request, kept)
        except UnclearQuestionError as error:
            return {"error": str(error)}
        run = SaliencyRun(round(bounded(request.get("masks"), MASKS[0], MASKS[-1], MASKS[0])))
        self.remove(str(token))
        self.put(run, token=str(token), visitor=kept.visitor)
        threading.Thread(target=self._compute, args=(run, kept, number), name="saliency", daemon=True).start()
        return _response(run)

    async def watch(self, sent: object) -> Response:
        """The state of a recording's map: `done`, `total`, `left` (seconds), and at the end `image` or `error`."""
        run = self.get(mapping_of(sent).get("recording"))
        if run is None:
            return {"error": "The map is not being computed any more."}
        run.asked = time.monotonic()
        if not (run.image or run.error):
            await asyncio.sleep(_POLL_SECONDS)
        return _response(run)

    async def stop(self, sent: object) -> Response:
        """Ends the computation of a recording's map."""
        token = mapping_of(sent).get("recording")
        if self.get(token) is not None:
            self.remove(str(token))
        return {}

    def _on_removed(self, entry: SaliencyRun, *, evicted: bool) -> None:
        entry.stopped.set()

    async def _run_once(self, image: LoadedImage, kept: KeptRecording) -> Result:
        job = self._engine.submit(image, kept.spec.in_slices(None), visitor=kept.visitor, keep=False, tasks=_ONLY_BOXES)
        return await asyncio.wrap_future(job.future)

    def _compute(self, run: SaliencyRun, kept: KeptRecording, number: int) -> None:
        def detect(pixels: NDArray[np.uint8]) -> Detections:
            image = LoadedImage(Image.fromarray(pixels), (), "array", web_safe=False, digest="")
            while not run.is_unwanted():
                try:
                    job = self._engine.submit(image, kept.spec.in_slices(None), visitor=kept.visitor, keep=False, tasks=_ONLY_BOXES)
                except EngineBusyError:
                    run.stopped.wait(_PAUSE)
                    continue
                return job.result().detections
            raise SaliencyCancelled

        def report(progress: SaliencyProgress) -> None:
            run.progress = progress

        with self._turns:
            try:
                image = _region_of(kept).image
                small = _reduced(image)
                factor = np.array([small.width / image.width, small.height / image.height] * 2)
                left, top, right, bottom = (np.array(box_in_region(kept.recording, box_of(kept.own[number]))) * factor).tolist()
                label = int(kept.recording.detections.labels[number])
                heat = drise(
                    np.asarray(small),
                    detect,
                    (left, top, right, bottom),
                    label,
                    masks=run.masks,
                    on_progress=report,
                    cancelled=run.is_unwanted,
                )
                run.image = image_url(draw_map(small, heat))
            except (SaliencyCancelled, Cancelled):
                run.error = "Cancelled."
            except UserError as error:
                run.error = str(error)
            except Exception:
                run.error = "The map could not be computed; the server's log has the details."
                raise


def _number_of(request: Mapping[str, Any], kept: KeptRecording) -> int:
    """Returns the number of the recording's object that is asked about.

    Raises:
        UnclearQuestionError: If there is none.
    """
    number = request.get("number")
    if type(number) is not int or not 0 <= number < len(kept.own):
        raise UnclearQuestionError("The model has found no such object.")
    return number


def _region_of(kept: KeptRecording) -> LoadedImage:
    """The part of the image that the recording is of."""
    image = read_upload(kept.result.image_path)
    if kept.recording.tile is None:
        return image
    return LoadedImage(image.image.crop(kept.recording.tile), (), "array", web_safe=False, digest="")


def _reduced(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((_MAX_SIDE, _MAX_SIDE))
    return small


def _response(run: SaliencyRun) -> Response:
    progress = run.progress
    state: Mapping[str, Any] = {
        "done": progress.done if progress else 0,
        "total": run.masks,
        "left": round(progress.seconds_left, 1) if progress else None,
    }
    return {**state, **({"image": run.image} if run.image else {}), **({"error": run.error} if run.error else {})}
