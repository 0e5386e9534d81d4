"""Model slots: a few models to compare or evaluate, each in a grouped list and in a variant of its own, drawn in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from detection_core.ui.components.base import BrowserComponent
from detection_core.ui.components.client_values import is_model_key
from detection_core.ui.components.model_picker import cards

FEWEST, MOST = 2, 4
_WANTED = {FEWEST: "Choose two to four models from the lists.", 0: "Choose at most four models from the lists."}


class ModelSlots(BrowserComponent):
    """Chooses models; one in two variants counts as two. As an input it gives their keys, as an output it takes `slots_value(...)`.

    Its event `select` fires when the choice changes.

    Args:
        selected: The chosen models' keys.
        states: As for `picker_value`.
        fewest: How many must be chosen at least.
        **kwargs: As for the base class.
    """

    files = "components/model_slots"
    styles = ("precision_choice", "input_size_choice", "variant_choice")

    def __init__(self, selected: Sequence[str], states: dict[str, str], *, fewest: int = FEWEST, **kwargs: Any) -> None:
        self._fewest = fewest
        super().__init__(slots_value(selected, states, fewest=fewest), **kwargs)

    def preprocess(self, payload: Any) -> list[str]:
        """Gives the chosen models' keys, whose models may no longer exist.

        Raises:
            gr.Error: If the browser sent something else.
        """
        selected = payload.get("selected") if isinstance(payload, dict) else None
        if not isinstance(selected, list) or not self._fewest <= len(selected) <= MOST or not all(map(is_model_key, selected)):
            raise gr.Error(_WANTED[self._fewest], print_exception=False)
        if len(set(selected)) < len(selected):
            raise gr.Error("Choose each model only once.", print_exception=False)
        return selected


def slots_value(
    selected: Sequence[str],
    states: dict[str, str],
    seconds: Mapping[str, float] | None = None,
    *,
    choose: bool = False,
    fewest: int = FEWEST,
) -> dict[str, Any]:
    """The slots' value: the chosen keys, and the models that exist at this moment.

    Args:
        selected: The chosen models' keys.
        states: As for `picker_value`.
        seconds: As for `picker_value`.
        choose: As for `picker_value`.
        fewest: How many must be chosen at least.
    """
    return {"selected": list(selected), "choose": choose, "least": fewest, "most": MOST, "models": cards(states, seconds)}
