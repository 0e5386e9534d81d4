"""The model picker: a grouped list of all models, their precisions, and the card of the chosen one, drawn in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from detection_core.models.catalog import COCO_MODEL, ModelSpec, get_model_spec, list_specs
from detection_core.models.empty import trained_side
from detection_core.models.input_size import why_one_size
from detection_core.models.model_key import ModelKey, precisions_in, state_of, usual_key, variants_of
from detection_core.models.size_cost import fixed_share
from detection_core.ui.components.base import BrowserComponent
from detection_core.ui.components.client_values import is_model_key

_METRIC_NAMES = {"box_map": "Box AP", "mask_map": "Mask AP", "kp_map": "Keypoint AP"}
BUILT_IN = "Built in, no download"
_YOURS = "Your models"
# The order of the groups in the list, by the models' source.
_PLACES = {"embedded": 0, "user": 1, "torchvision": 2}


class ModelPicker(BrowserComponent):
    """Chooses a model and its variant. As an input it gives the key, such as "name@fast@480px", as an output it takes `picker_value(...)`.

    At first the built-in model is chosen, in the usual precision if the states have it in that. The chosen model stays chosen when it is
    no longer listed: its file may come back.
    """

    files = "components/model_picker"
    styles = ("precision_choice", "input_size_choice", "variant_choice")

    def __init__(self, states: dict[str, str], **kwargs: Any) -> None:
        super().__init__(picker_value(usual_key(COCO_MODEL, states), states), **kwargs)

    def preprocess(self, payload: Any) -> str:
        """Gives the chosen model's key, whose model may no longer exist; programs may send just the key.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else payload
        if not is_model_key(selected):
            raise gr.Error("Choose a model from the list.", print_exception=False)
        return str(selected)


def picker_value(
    selected: str, states: dict[str, str], seconds: Mapping[str, float] | None = None, *, choose: bool = False
) -> dict[str, Any]:
    """The picker's value: the chosen key, and the models that exist at this moment.

    Args:
        selected: The chosen model's key.
        states: Where each model is in each precision, by its key; a model without a state has just been added or removed, and is left out.
        seconds: What an image takes here, as from `Engine.run_seconds`, from which the cost of other input sizes is estimated.
        choose: Whether to choose that model; otherwise the visitor's choice stays, which may be newer than the event.
    """
    return {"selected": selected, "choose": choose, "models": cards(states, seconds)}


def cards(states: dict[str, str], seconds: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """The cards of all models: first those that come with the project, then the user's.

    `states` of a card says where the model is in each precision that can run here, by the precision's name, and `seconds` what an image
    takes here, by the keys of its variants that have run; `fixed_shares` say by precision which share of it is the same at all input sizes.
    """
    models = []
    for spec in sorted(list_specs(), key=lambda spec: _PLACES[spec.source]):
        if precisions := precisions_in(states, spec.key):
            here = {str(precision): states[str(ModelKey(spec.key, precision))] for precision in precisions}
            shares = {str(precision): fixed_share(spec, precision, seconds or {}) for precision in precisions}
            models.append(card(spec) | {"states": here, "seconds": variants_of(spec.key, seconds or {}), "fixed_shares": shares})
    return models


def detect_label(key: str, states: dict[str, str]) -> str:
    """The label of the button that starts detection, which says what pressing it entails."""
    if state_of(key, states) != "to download":
        return "Detect"
    return f"Download {megabytes(get_model_spec(ModelKey.parse(key).name).file_size)} and detect"


def card(spec: ModelSpec) -> dict[str, Any]:
    """The facts that the picker shows of a model."""
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
        "trained_side": trained_side(spec.architecture),
        "one_size": why_one_size(spec.family),
    }


def megabytes(mebibytes: float) -> str:
    """A file size for people: "160 MB"."""
    return f"{mebibytes * 1.048576:.0f} MB"
