"""The table of all models, sorted in the browser, and the files that cannot be used as one."""

from __future__ import annotations

from typing import Any

from detection_core.models.catalog import ModelSpec, Rejected, list_specs, rejected_files
from detection_core.ui.components.base import BrowserComponent


class ModelTable(BrowserComponent):
    """Shows every model of the catalog, and the files in the models folder that are not models; it takes `table_value(...)`."""

    files = "models/view"

    def __init__(self, states: dict[str, str], **kwargs: Any) -> None:
        super().__init__(table_value(states), **kwargs)


def table_value(states: dict[str, str]) -> dict[str, Any]:
    """The table's value: the models that exist at this moment, and the files in the models folder that cannot be used.

    Args:
        states: Where each model is, by its key, as from `Engine.model_states`; a model without a state has just been
            added or removed, and is left out.
    """
    return {
        "rows": [_row(spec) | {"state": states[spec.key]} for spec in list_specs() if spec.key in states],
        "rejected": [{"name": file.file_name, "reason": _reason(file)} for file in rejected_files()],
    }


def _reason(file: Rejected) -> str:
    """The reason without the file's name, which is shown above it."""
    reason = file.reason.removeprefix(f"“{file.file_name}” ")
    return reason[:1].upper() + reason[1:]


def _row(spec: ModelSpec) -> dict[str, Any]:
    return {
        "yours": spec.source == "user",
        "title": spec.title,
        "tasks": spec.group,
        "box_map": spec.metrics.get("box_map"),
        "mask_map": spec.metrics.get("mask_map"),
        "kp_map": spec.metrics.get("kp_map"),
        "gflops": None if spec.gflops is None else float(f"{spec.gflops:.3g}"),
        "params": round(spec.params / 1e6, 1),
        "size": round(spec.file_size * 1.048576),
        "metrics_on": spec.metrics_on,
        "recipe": spec.recipe,
        "best_for": spec.best_for,
    }
