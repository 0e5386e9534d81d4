"""Named endpoints for programs: the same actions as the page's, without its state."""

from __future__ import annotations

import asyncio
import html
import time
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread

from detection_core.comparison_report import ComparisonReport, Found
from detection_core.detections.comparison import select
from detection_core.engine import Engine, EngineError, Result
from detection_core.formats import provenance_of, to_json
from detection_core.images.reading import ImageError, LoadedImage
from detection_core.models.catalog import UnknownModelError, get_model_spec, list_specs
from detection_core.models.precision import precisions_in
from detection_core.models.weights import WeightsError
from detection_core.ui.components.model_slots import FEWEST, MOST
from detection_core.ui.components.safe_image import NoAddresses, SafeImage, SafeText
from detection_core.ui.live.frames import tell
from detection_core.ui.live.streams import LiveFrame, LiveStreams, StreamEndedError, TooManyStreamsError
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import annotate, annotate_comparison

_PATIENCE = 15 * 60


# Whatever the type of an input is, Gradio looks for files in what is sent for it.
class _Number(gr.Number, NoAddresses):
    is_template = True


class _List(gr.JSON, NoAddresses):
    is_template = True


def add_api(engine: Engine, streams: LiveStreams) -> None:
    """Adds `/detect`, `/compare`, `/live` and `/models` to the page being built.

    Args:
        engine: Where detection runs.
        streams: The live streams of all visitors.
    """

    async def detect(image: str | None, model: str, threshold: float | None, request: gr.Request) -> tuple[dict[str, Any], Any]:  # noqa: D417
        """Finds objects in an image.

        Args:
            image: The image file.
            model: Key of the model, as `/models` lists them; with "@" and one of its precisions behind it, in that.
            threshold: Lowest score wanted, 0–1; null takes the model's suggestion.

        Returns:
            The detections as JSON (labels, scores, boxes in pixels, outlines, keypoints, where they come from), and the annotated image.
        """
        loaded = await _read(image)
        least = _checked_threshold(threshold)
        try:
            found = await _look(engine, loaded, model, least, request)
        except _ModelError as error:
            raise _refusal(str(error)) from error
        data = to_json(found.detections, provenance=found.provenance, notes=loaded.notes)
        return data, await to_thread.run_sync(annotate, loaded.image, found.detections)

    async def compare(  # noqa: D417
        image: str | None, models: list[str], threshold: float | None, iou: float | None, request: gr.Request
    ) -> tuple[dict[str, Any], Any]:
        """Compares what two to four models find in an image, object by object.

        Args:
            image: The image file.
            models: Keys of the models, as for `/detect`; one in two precisions counts as two.
            threshold: Lowest score that counts, 0–1; null takes each model's suggestion.
            iou: From which overlap on two boxes are in the same place, 0.05–0.95; null is 0.5.

        Returns:
            Each model's detections, every two models' agreement, what several agree on and which models failed why as JSON, and the
            image of the difference between the first two.
        """
        least = _checked_threshold(threshold)
        if not isinstance(models, list) or not FEWEST <= len(set(map(str, models))) == len(models) <= MOST:
            raise _refusal(f"Send a list of {FEWEST} to {MOST} different models' keys.")
        if iou is not None and not (isinstance(iou, int | float) and 0.05 <= iou <= 0.95):
            raise _refusal("The iou must be a number from 0.05 to 0.95, or null.")
        loaded = await _read(image)
        looks = (_look(engine, loaded, str(model), least, request) for model in models)
        report = ComparisonReport(Path(image or "").name, 0.5 if iou is None else iou, notes=loaded.notes)
        for model, outcome in zip(models, await asyncio.gather(*looks, return_exceptions=True), strict=True):
            if isinstance(outcome, _ModelError):
                report.failed[str(model)] = str(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                report.results.append(outcome)
        if len(report.results) < FEWEST:
            raise _refusal("Fewer than two models are left to compare. " + " ".join(report.failed.values()))
        found = report.results
        pair = report.pairs[found[0].name, found[1].name]
        difference = partial(annotate_comparison, loaded.image, pair, names=(found[0].name, found[1].name))
        return await to_thread.run_sync(report.to_json), await to_thread.run_sync(difference)

    async def live(image: str | None, model: str, threshold: float | None, stream: str, request: gr.Request) -> dict[str, Any]:  # noqa: D417
        """Finds objects in one frame of a live stream and follows them from frame to frame. Send a frame when the one before is answered.

        Args:
            image: The frame as an image file.
            model: Key of the model, as `/models` lists them; with "@" and one of its precisions behind it, in that.
            threshold: From which score on an object is followed, 0–1; null takes the model's suggestion.
            stream: What the answer to the frame before has as its `stream`; "" for the first. After ten seconds of silence it is over.

        Returns:
            `stream`, the `objects` with their `track` (the same number as long as it is the same object), box, velocity in pixels a second,
            outlines and keypoints, how many are `in_view` and have been in `total`, and where the time went in `ms`.
        """
        loaded = await _read(image)
        least = _checked_threshold(threshold)
        try:
            known = streams.find(stream) if stream else streams.begin(visitor_of(request, "api"), get_model_spec(model))
            if place := streams.place(known):
                raise _refusal(f"All places are taken. Yours in the line is {place}: send the next frame in two seconds.")
            frame = LiveFrame(time.monotonic(), known.spec.default_threshold if least is None else least, stable=True)
            result = await _run(engine, loaded, known.spec.key, request, keep=False)
        except (StreamEndedError, TooManyStreamsError, UnknownModelError, _ModelError) as error:
            raise _refusal(str(error)) from error
        told = await to_thread.run_sync(tell, result, frame, known)
        if told is None:
            raise _refusal("A later frame has overtaken this one. Send one at a time.")
        return told | {"stream": known.token}

    def models() -> list[dict[str, Any]]:
        """Lists all models with what they give, their published accuracy, cost, whether their weights are on disk, and `precisions`.

        Of those, "exact" is the model under its own key; "ssd300_vgg16@fast" is one in the precision "fast".
        """
        states = engine.model_states()
        # One without a state has come or gone just now.
        here = [spec for spec in list_specs() if spec.key in states]
        return [spec.facts() | {"state": states[spec.key], "precisions": list(map(str, precisions_in(states, spec.key)))} for spec in here]

    # Endpoints take their types from components; these are never shown.
    image = SafeImage(visible=False, label="Image")
    model = SafeText(visible=False, label="Model")
    several = _List(visible=False, label="Models")
    threshold = _Number(visible=False, label="Threshold", value=None)
    iou = _Number(visible=False, label="IoU", value=None)
    stream = SafeText(visible=False, label="Stream", value="")
    told = gr.JSON(visible=False, label="Frame")
    outputs = [gr.JSON(visible=False, label="Detections"), gr.Image(visible=False, format="png", label="Annotated image")]
    compared = [gr.JSON(visible=False, label="Comparison"), gr.Image(visible=False, format="png", label="Difference")]
    gr.Button(visible=False).click(detect, [image, model, threshold], outputs, api_name="detect", concurrency_limit=None)
    gr.Button(visible=False).click(compare, [image, several, threshold, iou], compared, api_name="compare", concurrency_limit=None)
    gr.Button(visible=False).click(live, [image, model, threshold, stream], told, api_name="live", concurrency_limit=None)
    gr.api(models, api_name="models")


class _ModelError(Exception):
    """One model gives no result, for this reason."""


async def _read(image: str | None) -> LoadedImage:
    if image is None:
        raise _refusal("Send an image file.")
    try:
        return await to_thread.run_sync(read_upload, image)
    except ImageError as error:
        raise _refusal(str(error)) from error


def _checked_threshold(threshold: float | None) -> float | None:
    if threshold is not None and not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
        raise _refusal("The threshold must be a number from 0 to 1, or null.")
    return threshold


async def _look(engine: Engine, loaded: LoadedImage, model: str, threshold: float | None, request: gr.Request) -> Found:
    """What a model finds above the threshold, or its own default one."""
    try:
        # Looked up first: the file may be gone when the result is there.
        spec = get_model_spec(model)
    except UnknownModelError as error:
        raise _ModelError(str(error)) from error
    result = await _run(engine, loaded, model, request)
    least = spec.default_threshold if threshold is None else threshold
    seconds = result.timings.network + result.timings.post
    return Found(model, select(result.detections, threshold=least), provenance_of(spec, threshold=least), seconds)


async def _run(engine: Engine, loaded: LoadedImage, model: str, request: gr.Request, *, keep: bool = True) -> Result:
    try:
        # Waiting must not hold one of the server's few threads: a slow download would stop everybody else.
        job = engine.submit(loaded, model, visitor=visitor_of(request, "api"), keep=keep)
        return await asyncio.wait_for(asyncio.wrap_future(job.future), _PATIENCE)
    except (UnknownModelError, WeightsError, EngineError) as error:
        raise _ModelError(str(error)) from error
    except TimeoutError as error:
        raise _ModelError("This takes too long. What has arrived of a download is kept: try again later.") from error
    except asyncio.CancelledError as error:
        raise _ModelError("Cancelled.") from error


def _refusal(message: str) -> gr.Error:
    """An error for programs; Gradio shows its text as HTML."""
    return gr.Error(html.escape(message), print_exception=False)
