"""Links to an evaluation: reads the settings that link.js writes into an address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from detection_core.ui.components.client_values import is_model_key, mapping_of, text_of
from detection_core.ui.components.model_slots import MOST
from detection_core.ui.evaluate.messages import EvaluateOrder

_MAX_LENGTH = 16_000


def settings_from_link(query: Mapping[str, str]) -> tuple[list[str], dict[str, Any]]:
    """The models' keys, and the other settings as the view takes them; what cannot be read is left out or a default.

    Args:
        query: The parameters of an address, decoded, such as `dict(request.query_params)`.
    """
    try:
        sent = mapping_of(json.loads(query.get("settings", "")[:_MAX_LENGTH]))
    except (ValueError, RecursionError):
        sent = {}
    models = sent.get("models")
    keys = [key for key in models if is_model_key(key)] if isinstance(models, list) else []
    order = EvaluateOrder.from_client(sent)
    thresholds = {name: chosen.to_json() for name, chosen in order.thresholds.items()}
    settings = {"iou": order.iou, "iou_type": order.iou_type, "label": text_of(sent.get("label")), "thresholds": thresholds}
    return list(dict.fromkeys(keys))[:MOST], settings
