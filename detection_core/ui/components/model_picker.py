"""The model picker: a grouped list of all models and the card of the chosen one, drawn in the browser."""

from __future__ import annotations

from typing import Any

import gradio as gr

from detection_core.catalog import EMBEDDED_MODEL, ModelSpec, get_spec, list_models
from detection_core.ui.components.files import component_files

_METRIC_NAMES = {"box_map": "Box AP", "mask_map": "Mask AP", "kp_map": "Joint AP"}


class ModelPicker(gr.HTML):
    """Chooses a model. As an input it gives the model's key, as an output it takes `picker_value(...)`."""

    is_template = True

    def __init__(self, states: dict[str, str], *, selected: str = EMBEDDED_MODEL, **kwargs: Any) -> None:
        models = sorted((card(get_spec(key)) for key in list_models()), key=lambda model: model["tasks"] != ["boxes", "masks", "keypoints"])
        super().__init__(
            picker_value(selected, states), **component_files("model_picker", "dom"), models=models, apply_default_css=False, **kwargs
        )

    def preprocess(self, payload: Any) -> str:
        """Gives the chosen model's key.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else None
        if selected not in list_models():
            raise gr.Error("Choose a model from the list.", print_exception=False)
        return str(selected)

    def api_info(self) -> dict[str, Any]:
        """The value as JSON schema."""
        return {"type": "object"}


def picker_value(selected: str, states: dict[str, str]) -> dict[str, Any]:
    """What the picker shows: the chosen key, and where each model is."""
    return {"selected": selected, "states": states}


def card(spec: ModelSpec) -> dict[str, Any]:
    """What the picker tells of a model."""
    facts = [(_METRIC_NAMES[name], f"{value:.1f}") for name, value in spec.metrics.items()]
    facts += [("Compute", f"{spec.gflops:.3g} GFLOPs"), ("Parameters", f"{spec.params / 1e6:.1f} M"), ("File", megabytes(spec.file_size))]
    return {
        "key": spec.key,
        "title": spec.title,
        "group": spec.group,
        "tasks": list(spec.tasks),
        "facts": facts,
        "size": megabytes(spec.file_size),
        "best_for": spec.best_for,
        "metrics_on": spec.metrics_on,
        "recipe": spec.recipe,
    }


def megabytes(mebibytes: float) -> str:
    """A file size for people: "160 MB"."""
    return f"{mebibytes * 1.048576:.0f} MB"
