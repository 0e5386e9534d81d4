"""What programs can ask for over HTTP, whichever interface they use: detect, compare, explain, track, list models, in plain values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from detection_core.comparison_report import ComparisonReport, Found
from detection_core.detections.comparison import select
from detection_core.engine import Engine, EngineBusyError, EngineError, Job, Result
from detection_core.errors import UserError
from detection_core.explanation import Explanation, FoundObject, Recording, why_not_in_whole
from detection_core.explanation.report import answer_about_found, answer_question, check_question
from detection_core.formats import provenance_of
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, get_model_spec, list_models, list_specs
from detection_core.models.model_key import precisions_in, variants_of
from detection_core.ui.components.model_slots import FEWEST, MOST
from detection_core.ui.explain.recordings import begin_recording
from detection_core.ui.live.frames import frame_response
from detection_core.ui.live.streams import LiveFrame, LiveStreams

_PATIENCE = 15 * 60
# Beyond any image, in pixels.
_FAR = 1e6
# Seconds after which a program may try again to begin a stream.
STREAM_PAUSE = 2


class RequestError(UserError):
    """A value in a request cannot be used."""


class StreamWaitsError(UserError):
    """The stream cannot begin yet, because others came before."""

    def __init__(self) -> None:
        super().__init__(f"The server is busy with other streams. Send the frame again in {STREAM_PAUSE} seconds.")


class FrameOvertakenError(UserError):
    """A later frame has been tracked already."""

    def __init__(self) -> None:
        super().__init__("A later frame has overtaken this one. Send one at a time.")


class TooFewModelsError(UserError):
    """Fewer than two of the models could detect anything."""

    def __init__(self, failed: dict[str, str]) -> None:
        super().__init__("Fewer than two models are left to compare. " + " ".join(failed.values()))


class TooSlowError(EngineError):
    """The result has not come in time."""

    def __init__(self) -> None:
        super().__init__("This takes too long. What has been downloaded so far is kept: try again later.")


@dataclass(frozen=True)
class Question:
    """What an explanation is asked of: exactly one of them.

    Attributes:
        at: A point, in pixels of the image.
        box: A box, XYXY in pixels of the image.
        number: An object's number in the model's result, from 0, the best score first.
    """

    at: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    number: int | None = None

    @classmethod
    def read(cls, at: object, box: object, number: object) -> Question:
        """Reads what a program sent.

        Raises:
            RequestError: If something of it cannot be meant.
        """
        if number is not None and (type(number) is not int or number < 0):
            raise RequestError("The number of an object must be a whole number from 0, or null.")
        point, sides = _coordinates("point", at, 2), _coordinates("box", box, 4)
        return cls(
            None if point is None else (point[0], point[1]), None if sides is None else (sides[0], sides[1], sides[2], sides[3]), number
        )


class Service:
    """Serves the requests of programs. Its methods raise `UserError` with a message that says what to do.

    Args:
        engine: Where detection runs.
        streams: The live streams of all visitors.
    """

    def __init__(self, engine: Engine, streams: LiveStreams) -> None:
        self._engine = engine
        self._streams = streams

    async def detect(self, image: LoadedImage, model: object, threshold: float | None, visitor: str) -> Found:
        """Detects objects in an image.

        Args:
            image: The image.
            model: The model's key.
            threshold: Lowest score wanted; None takes the model's default.
            visitor: The client, for the engine's fairness.
        """
        spec = _spec(model)
        result = await self._run(image, spec, visitor)
        lowest = spec.default_threshold if threshold is None else threshold
        seconds = result.timings.network + result.timings.post
        return Found(str(model), select(result.detections, threshold=lowest), provenance_of(result.spec, threshold=lowest), seconds)

    async def compare(
        self, image: LoadedImage, name: str, models: Sequence[str], threshold: float | None, iou: float | None, visitor: str
    ) -> ComparisonReport:
        """Compares what two to four models find in an image; models that fail are in the report, as long as two are left.

        Args:
            image: The image.
            name: The image's name.
            models: The models' keys, as of `checked_models`.
            threshold: Lowest score that counts; None takes each model's default.
            iou: Lowest overlap of two boxes that are in the same place; None is 0.5.
            visitor: The client.
        """
        jobs = (self.detect(image, model, threshold, visitor) for model in models)
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        report = ComparisonReport(name, 0.5 if iou is None else iou, notes=image.notes)
        for model, outcome in zip(models, outcomes, strict=True):
            if isinstance(outcome, UserError):
                report.failed[model] = str(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                report.results.append(outcome)
        if len(report.results) < FEWEST:
            # Unlike the other reasons, this one passes.
            for outcome in outcomes:
                if isinstance(outcome, EngineBusyError):
                    raise outcome
            raise TooFewModelsError(report.failed)
        return report

    async def track(
        self, image: LoadedImage, model: object, threshold: float | None, stream: str, visitor: str, owner: str
    ) -> dict[str, Any]:
        """Detects objects in one frame of a stream and tracks them from frame to frame.

        Args:
            image: The frame.
            model: The model's key; it counts in the first frame of a stream only.
            threshold: Lowest score of objects that are tracked; None takes the model's default.
            stream: The `stream` of the response to the frame before; "" begins a stream.
            visitor: The client, for the engine's fairness.
            owner: Whose stream it is; a new one takes the place of the owner's earlier one.
        """
        known = self._streams.find(stream) if stream else self._streams.begin(owner, _spec(model))
        try:
            if self._streams.place(known):
                raise StreamWaitsError
            frame = LiveFrame(time.monotonic(), known.spec.default_threshold if threshold is None else threshold, stable=True)
            with self._streams.awaiting(known, frame):
                result = await self._run(image, known.spec, visitor, keep=False)
            response = await to_thread.run_sync(frame_response, result, frame, known)
            if response is None:
                raise FrameOvertakenError
        except BaseException:
            # Only a response names a new stream. Kept without one, it would take a place that no client can use.
            if not stream:
                self._streams.remove(known.token)
            raise
        return response | {"stream": known.token} | ({"notes": list(image.notes)} if image.notes else {})

    async def explain(
        self, image: LoadedImage, model: object, question: Question, label: str | None, threshold: float | None, visitor: str
    ) -> Explanation:
        """Explains an object, or why there is none at a place.

        Args:
            image: The image.
            model: The model's key.
            question: What is asked about.
            label: With a place, the class that is asked about; None for any.
            threshold: The threshold; None takes the model's default.
            visitor: The client.
        """
        spec = _spec(model)
        query = check_question(spec, question.at, question.box, question.number, label)
        recording = await _outcome(begin_recording(self._engine, image, spec, visitor))
        if question.number is not None and spec.slices is not None:
            return await self._explain_found(image, spec, recording, question.number, threshold, visitor)
        asked = query if query is not None else question.number
        assert asked is not None
        return await to_thread.run_sync(answer_question, recording, image.image, asked, threshold)

    async def _explain_found(
        self, image: LoadedImage, spec: ModelSpec, whole: Recording, number: int, threshold: float | None, visitor: str
    ) -> Explanation:
        """Explains an object of a result in slices: in the whole image, or in the slice that alone shows it."""
        target = FoundObject.of((await self._run(image, spec, visitor)).detections, number)
        threshold = spec.default_threshold if threshold is None else threshold
        absence = await to_thread.run_sync(why_not_in_whole, whole, target, threshold)
        recording = whole if absence is None else await _outcome(begin_recording(self._engine, image, spec, visitor, target))
        return await to_thread.run_sync(answer_about_found, recording, image.image, target, threshold, absence)

    def models(self) -> list[dict[str, Any]]:
        """All models with their facts and their `state`, the `precisions` and `input_sizes` in which each can run, and their times.

        `seconds` are what an image takes here, by the keys of the model's variants that have run.
        """
        states, seconds = self._engine.model_states(), self._engine.run_seconds()

        def here(spec: ModelSpec) -> dict[str, Any]:
            precisions = list(map(str, precisions_in(states, spec.key)))
            return {"state": states[spec.key], "precisions": precisions, "seconds": variants_of(spec.key, seconds)}

        # A model without a state has just been added or removed.
        return [spec.facts() | here(spec) for spec in list_specs() if spec.key in states]

    async def _run(self, image: LoadedImage, spec: ModelSpec, visitor: str, *, keep: bool = True) -> Result:
        result: Result = await _outcome(self._engine.submit(image, spec, visitor=visitor, keep=keep))
        return result


async def _outcome(job: Job) -> Any:
    try:
        # Waiting must not occupy one of the server's few threads: a slow download would block all other visitors.
        return await asyncio.wait_for(asyncio.wrap_future(job.future), _PATIENCE)
    except TimeoutError as error:
        raise TooSlowError from error
    except asyncio.CancelledError as error:
        raise EngineError("Cancelled.") from error


def checked_models(models: object) -> list[str]:
    """The keys of the models to compare.

    Raises:
        RequestError: If it is not a list of two to four different texts.
    """
    keys = [model for model in models if isinstance(model, str)] if isinstance(models, list) else []
    if not isinstance(models, list) or not FEWEST <= len(set(keys)) == len(models) <= MOST:
        raise RequestError(f"Send a list of {FEWEST} to {MOST} different models' keys.")
    return keys


def checked_number(name: str, value: Any, low: float, high: float) -> float | None:
    """A number within its bounds, or None.

    Raises:
        RequestError: If it is anything else.
    """
    # True is a number to Python, and NaN is one to JSON as Python reads it.
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high):
        return value
    raise RequestError(f"The {name} must be a number from {low} to {high}, or null.")


def _coordinates(name: str, value: object, count: int) -> list[float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count or not all(type(each) in (int, float) and abs(each) < _FAR for each in value):
        raise RequestError(f"The {name} must be a list of {count} numbers, in pixels of the image, or null.")
    return [float(each) for each in value]


def _spec(model: object) -> ModelSpec:
    if not isinstance(model, str) or not model:
        raise RequestError(f"Send the key of a model as text. The models are: {', '.join(list_models())}.")
    return get_model_spec(model)
