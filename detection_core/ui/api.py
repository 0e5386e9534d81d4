"""Named endpoints for programs: the same actions as the page's, without its state."""

from __future__ import annotations

import asyncio
import html
from typing import Any

import gradio as gr
from anyio import to_thread

from detection_core.catalog import UnknownModelError, get_spec, list_specs
from detection_core.engine import Engine, EngineError
from detection_core.export import to_json
from detection_core.images import ImageError, read_image
from detection_core.ui.components.safe_image import SafeImage
from detection_core.visualization import annotate
from detection_core.weights import WeightsError

_PATIENCE = 15 * 60


def add_api(engine: Engine) -> None:
    """Adds `/detect` and `/models` to the page being built.

    Args:
        engine: Where detection runs.
    """

    async def detect(image: str | None, model: str, threshold: float | None, request: gr.Request) -> tuple[dict[str, Any], Any]:  # noqa: D417
        """Finds objects in a picture.

        Args:
            image: The picture file.
            model: Key of the model, as `/models` lists them.
            threshold: Lowest score wanted, 0–1; null takes the model's suggestion.

        Returns:
            The detections as JSON (labels, scores, boxes in pixels, outlines, joints), and the annotated picture.
        """
        if image is None:
            raise _refusal("Send a picture file.")
        if threshold is not None and not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
            raise _refusal("The threshold must be a number from 0 to 1, or null.")
        try:
            # Looked up first: the file may be gone when the result is there.
            spec = get_spec(model)
            # Waiting must not hold one of the server's few threads: a slow download would stop everybody else.
            loaded = await to_thread.run_sync(read_image, image)
            job = engine.submit(loaded, model, visitor=request.session_hash or "")
            result = await asyncio.wait_for(asyncio.wrap_future(job.future), _PATIENCE)
        except (UnknownModelError, ImageError, WeightsError, EngineError) as error:
            raise _refusal(str(error)) from error
        except TimeoutError as error:
            raise _refusal("This takes too long. What has arrived of a download is kept: try again later.") from error
        except asyncio.CancelledError as error:
            raise _refusal("Cancelled.") from error
        found = result.detections
        found = found[found.scores >= (spec.suggested_threshold if threshold is None else threshold)]
        return to_json(found), await to_thread.run_sync(annotate, loaded.image, found)

    def models() -> list[dict[str, Any]]:
        """Lists all models with what they give, their published accuracy, cost and whether their weights are on disk."""
        states = engine.model_states()
        # One without a state has come or gone just now.
        return [spec.facts() | {"state": states[spec.key]} for spec in list_specs() if spec.key in states]

    # Endpoints take their types from components; these are never shown.
    image = SafeImage(visible=False, label="Picture")
    model = gr.Textbox(visible=False, label="Model")
    threshold = gr.Number(visible=False, label="Threshold", value=None)
    outputs = [gr.JSON(visible=False, label="Detections"), gr.Image(visible=False, format="png", label="Annotated picture")]
    gr.Button(visible=False).click(detect, [image, model, threshold], outputs, api_name="detect", concurrency_limit=None)
    gr.api(models, api_name="models")


def _refusal(message: str) -> gr.Error:
    """An error for programs; Gradio shows its text as HTML."""
    return gr.Error(html.escape(message), print_exception=False)
