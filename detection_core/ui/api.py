"""Named endpoints for programs, which do what the page does, without its state."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread

from detection_core.comparison_report import ComparisonReport, Found
from detection_core.detections.comparison import select
from detection_core.engine import Engine, EngineError, Result
from detection_core.errors import UserError
from detection_core.formats import provenance_of, to_json
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, get_model_spec, list_models, list_specs
from detection_core.models.precision import precisions_in
from detection_core.ui.components.model_slots import FEWEST, MOST
from detection_core.ui.components.safe_image import NoAddresses, SafeImage, SafeText
from detection_core.ui.live.frames import frame_response
from detection_core.ui.live.streams import LiveFrame, LiveStreams
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import annotate, annotate_comparison

_PATIENCE = 15 * 60


# Gradio looks for files in what is sent for any input, whatever its type.
class _Number(gr.Number, NoAddresses):
    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """Gives what was sent, which the endpoint checks."""
        return payload


class _List(gr.JSON, NoAddresses):
    is_template = True


class Api:
    """The endpoints `/detect`, `/compare`, `/live` and `/models`; their docstrings and parameters are their documentation.

    Args:
        engine: Where detection runs.
        streams: The live streams of all visitors.
    """

    def __init__(self, engine: Engine, streams: LiveStreams) -> None:
        self._engine = engine
        self._streams = streams

    def wire(self) -> None:
        """Adds the endpoints to the page being built."""
        # Endpoints take their types from components; these are never shown.
        image = SafeImage(visible=False, label="Image")
        model = SafeText(visible=False, label="Model")
        models = _List(visible=False, label="Models")
        threshold = _Number(visible=False, label="Threshold", value=None)
        iou = _Number(visible=False, label="IoU", value=None)
        stream = SafeText(visible=False, label="Stream", value="")
        frame = gr.JSON(visible=False, label="Frame")
        detected = [gr.JSON(visible=False, label="Detections"), gr.Image(visible=False, format="png", label="Annotated image")]
        compared = [gr.JSON(visible=False, label="Comparison"), gr.Image(visible=False, format="png", label="Difference")]
        for endpoint, inputs, outputs in (
            (self.detect, [image, model, threshold], detected),
            (self.compare, [image, models, threshold, iou], compared),
            (self.live, [image, model, threshold, stream], frame),
        ):
            gr.Button(visible=False).click(endpoint, inputs, outputs, api_name=endpoint.__name__, concurrency_limit=None)
        gr.api(self.models, api_name="models")

    async def detect(  # noqa: D417
        self, image: str | None, model: str, threshold: float | None, request: gr.Request
    ) -> tuple[dict[str, Any], Any]:
        """Finds objects in an image.

        Args:
            image: The image file.
            model: Key of the model, as `/models` lists them; with "@" and the name of a precision appended, the model in that precision.
            threshold: Lowest score wanted, 0–1; null takes the model's default.

        Returns:
            The detections as JSON (labels, scores, boxes in pixels, polygons, keypoints, provenance), and the annotated image.
        """
        loaded = await _read(image)
        lowest = _checked_number("threshold", threshold, 0, 1)
        try:
            found = await self._detect(loaded, model, lowest, request)
        except UserError as error:
            raise _api_error(str(error)) from error
        data = to_json(found.detections, provenance=found.provenance, notes=loaded.notes)
        return data, await to_thread.run_sync(annotate, loaded.image, found.detections)

    async def compare(  # noqa: D417
        self, image: str | None, models: list[str], threshold: float | None, iou: float | None, request: gr.Request
    ) -> tuple[dict[str, Any], Any]:
        """Compares what two to four models find in an image, object by object.

        Args:
            image: The image file.
            models: Keys of the models, as for `/detect`; one model in two precisions counts as two.
            threshold: Lowest score that counts, 0–1; null takes each model's default.
            iou: Lowest overlap of two boxes that are in the same place, 0.05–0.95; null is 0.5.

        Returns:
            Each model's detections, the agreement of every two models, the objects on which several agree, and errors of models that
            failed as JSON, and the image of the difference between the first two.
        """
        lowest = _checked_number("threshold", threshold, 0, 1)
        keys = {model for model in models if isinstance(model, str)} if isinstance(models, list) else set()
        if not FEWEST <= len(keys) <= MOST or len(keys) != len(models):
            raise _api_error(f"Send a list of {FEWEST} to {MOST} different models' keys.")
        lowest_iou = _checked_number("iou", iou, 0.05, 0.95)
        loaded = await _read(image)
        outcomes = await asyncio.gather(*(self._detect(loaded, model, lowest, request) for model in models), return_exceptions=True)
        report = ComparisonReport(Path(image or "").name, 0.5 if lowest_iou is None else lowest_iou, notes=loaded.notes)
        for model, outcome in zip(models, outcomes, strict=True):
            if isinstance(outcome, UserError):
                report.failed[model] = str(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                report.results.append(outcome)
        if len(report.results) < FEWEST:
            raise _api_error("Fewer than two models are left to compare. " + " ".join(report.failed.values()))
        first, second = (result.name for result in report.results[:2])
        difference = partial(annotate_comparison, loaded.image, report.pairs[first, second], names=(first, second))
        return await to_thread.run_sync(report.to_json), await to_thread.run_sync(difference)

    async def live(  # noqa: D417
        self, image: str | None, model: str, threshold: float | None, stream: str, request: gr.Request
    ) -> dict[str, Any]:
        """Finds objects in one frame of a live stream and tracks them from frame to frame. Send a frame after the response to the last.

        Args:
            image: The frame as an image file.
            model: Key of the model, as `/models` lists them; with "@" and the name of a precision appended, the model in that precision.
            threshold: Lowest score of objects that are tracked, 0–1; null takes the model's default.
            stream: The `stream` of the response to the frame before; "" for the first frame. A stream ends after ten seconds of silence.

        Returns:
            `stream`, the `objects` with their `track` (the same number as long as it is the same object), box, velocity in pixels a second,
            polygons and keypoints, how many are `in_view` and have been in `total`, and where the time went in `ms`.
        """
        loaded = await _read(image)
        lowest = _checked_number("threshold", threshold, 0, 1)
        try:
            known = self._streams.find(stream) if stream else self._streams.begin(visitor_of(request, "api"), _checked_model(model))
            if place := self._streams.place(known):
                raise _api_error(f"The server is busy. You are number {place} in the queue: send the next frame in two seconds.")
            frame = LiveFrame(time.monotonic(), known.spec.default_threshold if lowest is None else lowest, stable=True)
            result = await self._run(loaded, known.spec, request, keep=False)
        except UserError as error:
            raise _api_error(str(error)) from error
        response = await to_thread.run_sync(frame_response, result, frame, known)
        if response is None:
            raise _api_error("A later frame has overtaken this one. Send one at a time.")
        return response | {"stream": known.token}

    def models(self) -> list[dict[str, Any]]:
        """Lists all models with their tasks, published accuracy, cost, whether their weights are on disk, and `precisions`.

        Of those, "exact" is the model under its own key; "ssd300_vgg16@fast" is one in the precision "fast".
        """
        states = self._engine.model_states()
        # A model without a state has just been added or removed.
        here = [spec for spec in list_specs() if spec.key in states]
        return [spec.facts() | {"state": states[spec.key], "precisions": list(map(str, precisions_in(states, spec.key)))} for spec in here]

    async def _detect(self, loaded: LoadedImage, model: str, threshold: float | None, request: gr.Request) -> Found:
        """A model's detections above the threshold, or above its default one."""
        spec = _checked_model(model)
        result = await self._run(loaded, spec, request)
        lowest = spec.default_threshold if threshold is None else threshold
        seconds = result.timings.network + result.timings.post
        return Found(model, select(result.detections, threshold=lowest), provenance_of(result.spec, threshold=lowest), seconds)

    async def _run(self, loaded: LoadedImage, spec: ModelSpec, request: gr.Request, *, keep: bool = True) -> Result:
        try:
            # Waiting must not occupy one of the server's few threads: a slow download would block all other visitors.
            job = self._engine.submit(loaded, spec, visitor=visitor_of(request, "api"), keep=keep)
            return await asyncio.wait_for(asyncio.wrap_future(job.future), _PATIENCE)
        except TimeoutError as error:
            raise EngineError("This takes too long. What has been downloaded so far is kept: try again later.") from error
        except asyncio.CancelledError as error:
            raise EngineError("Cancelled.") from error


async def _read(image: str | None) -> LoadedImage:
    if image is None:
        raise _api_error("Send an image file.")
    try:
        return await to_thread.run_sync(read_upload, image)
    except UserError as error:
        raise _api_error(str(error)) from error


def _checked_number(name: str, value: Any, low: float, high: float) -> float | None:
    # True is a number to Python, and NaN is one to JSON as Python reads it.
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high):
        return value
    raise _api_error(f"The {name} must be a number from {low} to {high}, or null.")


def _checked_model(model: object) -> ModelSpec:
    if not isinstance(model, str) or not model:
        raise _api_error(f"Send the key of a model as text. The models are: {', '.join(list_models())}.")
    return get_model_spec(model)


def _api_error(message: str) -> gr.Error:
    """An error for programs: plain text, although Gradio's own page would show it as HTML."""
    return gr.Error(message, print_exception=False)
