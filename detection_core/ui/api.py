"""Named endpoints for programs, which do what the page does, without its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread

from detection_core.errors import UserError
from detection_core.formats import to_json
from detection_core.images.reading import LoadedImage
from detection_core.ui.components.safe_image import NoAddresses, SafeImage, SafeText
from detection_core.ui.service import Question, RequestError, Service, checked_models, checked_number
from detection_core.ui.shared.session import caller_of, visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import annotate, annotate_comparison


# Gradio looks for files in what is sent for any input, whatever its type.
class _Number(gr.Number, NoAddresses):
    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """Gives what was sent, which the endpoint checks."""
        return payload


class _List(gr.JSON, NoAddresses):
    is_template = True


class Api:
    """The endpoints `/detect`, `/compare`, `/explain`, `/live` and `/models`; their docstrings and parameters are their documentation.

    Args:
        service: Serves the requests.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def wire(self) -> None:
        """Adds the endpoints to the page being built."""
        # Endpoints take their types from components; these are never shown.
        image = SafeImage(visible=False, label="Image")
        model = SafeText(visible=False, label="Model")
        models = _List(visible=False, label="Models")
        threshold = _Number(visible=False, label="Threshold", value=None)
        iou = _Number(visible=False, label="IoU", value=None)
        stream = SafeText(visible=False, label="Stream", value="")
        at = _List(visible=False, label="Point", value=None)
        box = _List(visible=False, label="Box", value=None)
        number = _Number(visible=False, label="Object", value=None)
        label = SafeText(visible=False, label="Class", value="")
        frame = gr.JSON(visible=False, label="Frame")
        detected = [gr.JSON(visible=False, label="Detections"), gr.Image(visible=False, format="png", label="Annotated image")]
        explained = [gr.JSON(visible=False, label="Explanation"), gr.Image(visible=False, format="png", label="Answer")]
        compared = [gr.JSON(visible=False, label="Comparison"), gr.Image(visible=False, format="png", label="Difference")]
        for endpoint, inputs, outputs in (
            (self.detect, [image, model, threshold], detected),
            (self.compare, [image, models, threshold, iou], compared),
            (self.explain, [image, model, at, box, number, label, threshold], explained),
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
            model: Key of the model, as `/models` lists them; "KEY@fast" is in the precision "fast", "KEY@480px" at the input size 480,
                and "KEY@slices640" also runs on slices of 640 pixels.
            threshold: Lowest score wanted, 0–1; null takes the model's default.

        Returns:
            The detections as JSON (labels, scores, boxes in pixels, polygons, keypoints, provenance), and the annotated image.
        """
        with _errors_in_words():
            loaded = await _read(image)
            lowest = checked_number("threshold", threshold, 0, 1)
            found = await self._service.detect(loaded, model, lowest, caller_of(request))
        data = to_json(found.detections, provenance=found.provenance, notes=loaded.notes)
        return data, await to_thread.run_sync(annotate, loaded.image, found.detections)

    async def compare(  # noqa: D417
        self, image: str | None, models: list[str], threshold: float | None, iou: float | None, request: gr.Request
    ) -> tuple[dict[str, Any], Any]:
        """Compares what two to four models find in an image, object by object.

        Args:
            image: The image file.
            models: Keys of the models, as for `/detect`; one model in two precisions or at two input sizes counts as two.
            threshold: Lowest score that counts, 0–1; null takes each model's default.
            iou: Lowest overlap of two boxes that are in the same place, 0.05–0.95; null is 0.5.

        Returns:
            Each model's detections, the agreement of every two models, the objects on which several agree, and errors of models that
            failed as JSON, and the image of the difference between the first two.
        """
        with _errors_in_words():
            lowest = checked_number("threshold", threshold, 0, 1)
            keys = checked_models(models)
            lowest_iou = checked_number("iou", iou, 0.05, 0.95)
            loaded = await _read(image)
            name = Path(image or "").name
            report = await self._service.compare(loaded, name, keys, lowest, lowest_iou, caller_of(request))
        first, second = (result.name for result in report.results[:2])
        difference = partial(annotate_comparison, loaded.image, report.pairs[first, second], names=(first, second))
        return await to_thread.run_sync(report.to_json), await to_thread.run_sync(difference)

    async def explain(  # noqa: D417
        self,
        image: str | None,
        model: str,
        at: list[float] | None,
        box: list[float] | None,
        object: int | None,
        label: str,
        threshold: float | None,
        request: gr.Request,
    ) -> tuple[dict[str, Any], Any]:
        """Explains why a model finds an object, or why it finds none at a point or in a box. Give one of `at`, `box` and `object`.

        Args:
            image: The image file.
            model: Key of the model, as for `/detect`.
            at: Why is there no object at this point? [x, y] in pixels of the image.
            box: Why is there no object in this box? [left, top, right, bottom] in pixels of the image.
            object: Why is there this object? Its number in the model's result, from 0, the best score first.
            label: With `at` or `box`, explain this class only; "" is any.
            threshold: The threshold, 0–1; null takes the model's default.

        Returns:
            The `sentence`, and all candidates there with what became of each, or the object's anchor, box, scores and the candidates that
            it suppressed, as JSON; and the image with them.
        """
        with _errors_in_words():
            question = Question.read(at, box, object)
            lowest = checked_number("threshold", threshold, 0, 1)
            loaded = await _read(image)
            explanation = await self._service.explain(loaded, model, question, label or None, lowest, caller_of(request))
        return await to_thread.run_sync(explanation.to_json), await to_thread.run_sync(explanation.draw_answer)

    async def live(  # noqa: D417
        self, image: str | None, model: str, threshold: float | None, stream: str, request: gr.Request
    ) -> dict[str, Any]:
        """Finds objects in one frame of a live stream and tracks them from frame to frame. Send a frame after the response to the last.

        Args:
            image: The frame as an image file.
            model: Key of the model, as `/models` lists them; "KEY@fast" is in the precision "fast", "KEY@480px" at the input size 480.
            threshold: Lowest score of objects that are tracked, 0–1; null takes the model's default.
            stream: The `stream` of the response to the frame before; "" for the first frame. A stream ends after ten seconds of silence.

        Returns:
            `stream`, the `objects` with their `track` (the same number as long as it is the same object), box, velocity in pixels a second,
            polygons and keypoints, how many are `in_view` and have been in `total`, where the time went in `ms`, and if
            there are any, `notes` on the image, for example that its file is cut off.
        """
        # Programs behind one address have streams of their own; they share the engine's time.
        owner = visitor_of(request, "api")
        with _errors_in_words():
            loaded = await _read(image)
            lowest = checked_number("threshold", threshold, 0, 1)
            return await self._service.track(loaded, model, lowest, stream, caller_of(request), owner=owner)

    def models(self) -> list[dict[str, Any]]:
        """Lists all models with their tasks, published accuracy, cost, whether their weights are on disk, `precisions` and `input_sizes`.

        Of the precisions, "exact" is the model under its own key; "ssd300_vgg16@fast" is one in the precision "fast". `input_sizes` are
        the smallest and the largest of which one may be appended, as in "fcos_resnet50_fpn@480px"; SSDs have none. `seconds` are what an
        image takes here, by the keys of the variants that have run.
        """
        return self._service.models()


async def _read(image: str | None) -> LoadedImage:
    if image is None:
        raise RequestError("Send an image file.")
    return await to_thread.run_sync(read_upload, image)


@contextmanager
def _errors_in_words() -> Iterator[None]:
    """Turns errors for people into Gradio's: in plain text for programs, although Gradio's own page would show it as HTML."""
    try:
        yield
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from error
