"""The table of all models, sorted in the browser."""

from __future__ import annotations

from typing import Any

import gradio as gr

from detection_core.catalog import ModelSpec, get_spec, list_models
from detection_core.ui.components.files import component_files


class ModelTable(gr.HTML):
    """Shows every model of the catalog; its value says where each one is ("in memory", "on disk", "to download")."""

    is_template = True

    def __init__(self, states: dict[str, str], **kwargs: Any) -> None:
        super().__init__(
            states,
            **component_files("model_table", "dom"),
            rows=[_row(get_spec(key)) for key in list_models()],
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """The value as JSON schema."""
        return {"type": "object"}


def _row(spec: ModelSpec) -> dict[str, Any]:
    return {
        "key": spec.key,
        "title": spec.title,
        "tasks": spec.group,
        "box_map": spec.metrics.get("box_map"),
        "mask_map": spec.metrics.get("mask_map"),
        "kp_map": spec.metrics.get("kp_map"),
        "gflops": float(f"{spec.gflops:.3g}"),
        "params": round(spec.params / 1e6, 1),
        "size": round(spec.file_size * 1.048576),
        "metrics_on": spec.metrics_on,
        "recipe": spec.recipe,
        "best_for": spec.best_for,
    }
