"""Model slots: two to four models to compare, each in a grouped list and in a precision of its own, drawn in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from detection_core.ui.components.files import component_files
from detection_core.ui.components.model_picker import cards
from detection_core.ui.components.safe_image import NoAddresses

FEWEST, MOST = 2, 4


class ModelSlots(gr.HTML, NoAddresses):
    """Chooses models; one in two precisions counts as two. As an input it gives their keys, as an output it takes `slots_value(...)`.

    Its event `select` fires when the choice changes.
    """

    is_template = True

    def __init__(self, selected: Sequence[str], states: dict[str, str], **kwargs: Any) -> None:
        files = component_files(
            "components/model_slots", "dom", "model_keys", "model_options", "precision_choice", styles=["precision_choice"]
        )
        # Gradio puts arguments into the page's configuration, and treats those that are not attributes of the component as events.
        self.states = states
        super().__init__(slots_value(selected, states), **files, apply_default_css=False, **kwargs)

    def preprocess(self, payload: Any) -> list[str]:
        """Gives the chosen models' keys, whose models may no longer exist.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else None
        if not isinstance(selected, list) or not FEWEST <= len(selected) <= MOST or not all(isinstance(key, str) for key in selected):
            raise gr.Error("Choose two to four models from the lists.", print_exception=False)
        if len(set(selected)) < len(selected):
            raise gr.Error("Choose each model only once.", print_exception=False)
        return selected

    def api_info(self) -> dict[str, Any]:
        """The value as JSON schema."""
        return {"type": "object"}


def slots_value(selected: Sequence[str], states: dict[str, str], *, choose: bool = False) -> dict[str, Any]:
    """The slots' value: the chosen keys, and the models that exist at this moment.

    Args:
        selected: The chosen models' keys, two to four.
        states: As for `picker_value`.
        choose: As for `picker_value`.
    """
    return {"selected": list(selected), "choose": choose, "least": FEWEST, "most": MOST, "models": cards(states)}
