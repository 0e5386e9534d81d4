"""Named endpoints for programs: the same actions as the page's, without its state."""

from __future__ import annotations

from typing import Any

import gradio as gr

from detection_core.catalog import get_spec, list_models
from detection_core.engine import Engine, EngineError
from detection_core.export import to_json
from detection_core.images import ImageError, read_image
from detection_core.ui.components.safe_image import SafeImage
from detection_core.visualization import annotate
from detection_core.weights import WeightsError


def add_api(engine: Engine) -> None:
    """Adds `/detect` and `/models` to the page being built.

    Args:
        engine: Where detection runs.
    """

    def detect(image: str | None, model: str, threshold: float | None, request: gr.Request) -> tuple[dict[str, Any], Any]:  # noqa: D417
        """Finds objects in a picture.

        Args:
            image: The picture file.
            model: Key of the model, as `/models` lists them.
            threshold: Lowest score wanted, 0–1; null takes the model's suggestion.

        Returns:
            The detections as JSON (labels, scores, boxes in pixels, outlines, joints), and the annotated picture.
        """
        if image is None:
            raise gr.Error("Send a picture file.", print_exception=False)
        if model not in list_models():
            raise gr.Error(f"There is no such model. The models are: {', '.join(list_models())}.", print_exception=False)
        try:
            loaded = read_image(image)
            found = engine.submit(loaded, model, visitor=request.session_hash or "").result().detections
        except (ImageError, WeightsError, EngineError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        lowest = get_spec(model).suggested_threshold if threshold is None else threshold
        found = found[found.scores >= lowest]
        return to_json(found), annotate(loaded.image, found)

    def models() -> list[dict[str, Any]]:
        """Lists all models with what they give, their published accuracy, cost and whether their weights are on disk."""
        states = engine.model_states()
        return [
            {
                "key": spec.key,
                "title": spec.title,
                "tasks": list(spec.tasks),
                "metrics": spec.metrics,
                "metrics_on": spec.metrics_on,
                "gflops": spec.gflops,
                "params": spec.params,
                "suggested_threshold": spec.suggested_threshold,
                "state": states[spec.key],
            }
            for spec in map(get_spec, list_models())
        ]

    # Endpoints take their types from components; these are never shown.
    image = SafeImage(visible=False, label="Picture")
    model = gr.Textbox(visible=False, label="Model")
    threshold = gr.Number(visible=False, label="Threshold", value=None)
    outputs = [gr.JSON(visible=False, label="Detections"), gr.Image(visible=False, format="png", label="Annotated picture")]
    gr.Button(visible=False).click(detect, [image, model, threshold], outputs, api_name="detect", concurrency_limit=None)
    gr.api(models, api_name="models")
