"""The model picker: a grouped list of all models, their precisions, and the card of the chosen one, drawn in the browser."""

from __future__ import annotations

from typing import Any

import gradio as gr

from detection_core.models.catalog import COCO_MODEL, ModelSpec, get_model_spec, list_specs
from detection_core.models.precision import join_key, precisions_in, usual_key
from detection_core.ui.components.base import BrowserComponent

_METRIC_NAMES = {"box_map": "Box AP", "mask_map": "Mask AP", "kp_map": "Keypoint AP"}
BUILT_IN = "Built in, no download"
_YOURS = "Your models"
# Where a model's group stands in the list, by who brings it.
_PLACES = {"embedded": 0, "user": 1, "torchvision": 2}


class ModelPicker(BrowserComponent):
    """Chooses a model and its precision. As an input it gives the key, "name" or "name@fast", as an output it takes `picker_value(...)`.

    At first the built-in model is chosen, in the usual precision if the states have it in that. The chosen model stays chosen when it is
    none of those listed any more: its file may come back.
    """

    files = "components/model_picker"
    styles = ("precision_choice",)

    def __init__(self, states: dict[str, str], **kwargs: Any) -> None:
        super().__init__(picker_value(usual_key(COCO_MODEL, states), states), **kwargs)

    def preprocess(self, payload: Any) -> str:
        """Gives the chosen model's key, of which there may be no model any more; programs may send just that.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else payload
        if not isinstance(selected, str):
            raise gr.Error("Choose a model from the list.", print_exception=False)
        return selected


def picker_value(selected: str, states: dict[str, str], *, choose: bool = False) -> dict[str, Any]:
    """What the picker shows: the chosen key, and the models that there are at this moment.

    Args:
        selected: The chosen model's key.
        states: Where each model is in each precision, by its key; a model without a state has come or gone just now and is left out.
        choose: Whether the picker is to choose that model; else the visitor's choice holds, which may be newer than what an event saw.
    """
    return {"selected": selected, "choose": choose, "models": cards(states)}


def cards(states: dict[str, str]) -> list[dict[str, Any]]:
    """What is told of every model, those first that come with the project, and then the user's.

    Where it is in each precision that can run here is in `states`, by the name of the precision.
    """
    models = []
    for spec in sorted(list_specs(), key=lambda spec: _PLACES[spec.source]):
        if precisions := precisions_in(states, spec.key):
            models.append(card(spec) | {"states": {str(precision): states[join_key(spec.key, precision)] for precision in precisions}})
    return models


def detect_label(key: str, states: dict[str, str]) -> str:
    """What the button says that has a model look: what pressing it entails."""
    return f"Download {megabytes(get_model_spec(key).file_size)} and detect" if states.get(key) == "to download" else "Detect"


def card(spec: ModelSpec) -> dict[str, Any]:
    """What the picker tells of a model."""
    facts = [(_METRIC_NAMES[name], f"{value:.1f}") for name, value in spec.metrics.items()]
    if spec.gflops is not None:
        facts.append(("Compute", f"{spec.gflops:.3g} GFLOPs"))
    facts += [("Parameters", f"{spec.params / 1e6:.1f} M"), ("File", megabytes(spec.file_size))]
    return {
        "key": spec.key,
        "title": spec.title,
        "group": {"embedded": BUILT_IN, "user": _YOURS}.get(spec.source, spec.group),
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
