"""Model slots: two to four models to compare, each in a grouped list and in a precision of its own, drawn in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from detection_core.ui.components.base import BrowserComponent
from detection_core.ui.components.client_values import is_model_key
from detection_core.ui.components.model_picker import cards

FEWEST, MOST = 2, 4


class ModelSlots(BrowserComponent):
    """Chooses models; one in two precisions counts as two. As an input it gives their keys, as an output it takes `slots_value(...)`.

    Its event `select` fires when the choice changes.
    """

    files = "components/model_slots"
    styles = ("precision_choice",)

    def __init__(self, selected: Sequence[str], states: dict[str, str], **kwargs: Any) -> None:
        super().__init__(slots_value(selected, states), **kwargs)

    def preprocess(self, payload: Any) -> list[str]:
        """Gives the chosen models' keys, whose models may no longer exist.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else None
        if not isinstance(selected, list) or not FEWEST <= len(selected) <= MOST or not all(map(is_model_key, selected)):
            raise gr.Error("Choose two to four models from the lists.", print_exception=False)
        if len(set(selected)) < len(selected):
            raise gr.Error("Choose each model only once.", print_exception=False)
        return selected


def slots_value(selected: Sequence[str], states: dict[str, str], *, choose: bool = False) -> dict[str, Any]:
    """The slots' value: the chosen keys, and the models that exist at this moment.

    Args:
        selected: The chosen models' keys, two to four.
        states: As for `picker_value`.
        choose: As for `picker_value`.
    """
    return {"selected": list(selected), "choose": choose, "least": FEWEST, "most": MOST, "models": cards(states)}
