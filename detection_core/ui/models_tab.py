"""The Models tab: every model in one sortable table, and what accuracy costs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import gradio as gr

from detection_core.catalog import list_specs
from detection_core.engine import Engine
from detection_core.ui.components.model_table import ModelTable

if TYPE_CHECKING:
    from detection_core.visualization.charts import ChartPoint

_SERIES = {"box_map": "boxes", "mask_map": "masks", "kp_map": "keypoints"}


def build_models_tab(tab: gr.Tab, engine: Engine) -> ModelTable:
    """Adds the tab's content to the page being built.

    Args:
        tab: The tab; its chart is drawn when somebody opens it.
        engine: Where detection runs.

    Returns:
        The table, so that the page can refresh it when the tab is opened.
    """
    gr.HTML(
        "<h2>All models</h2><p>Average precisions are the published ones, in percent. Keypoint R-CNN's box AP is over persons only, "
        "the built-in model's over its own holdout photos and yours over yours: compare them within their kind. Checkpoints in the models "
        "folder are listed here by themselves.</p>",
        elem_classes="section",
    )
    table = ModelTable(engine.model_states())
    gr.HTML("<h2>What accuracy costs</h2>", elem_classes="section")
    chart = gr.HTML(elem_id="accuracy-cost")
    tab.select(_chart, None, chart, queue=False, api_visibility="private", show_progress="hidden")
    return table


@cache
def _chart() -> str:
    """The chart as SVG. Importing matplotlib and drawing take half a second, for which the page's start should not wait."""
    from detection_core.visualization.charts import accuracy_cost_chart

    return accuracy_cost_chart(chart_points())


def chart_points() -> list[ChartPoint]:
    """All published average precisions of torchvision's models; the others are measured on other photos and left out."""
    from detection_core.visualization.charts import ChartPoint

    return [
        ChartPoint(spec.title.replace(" FPN", ""), _SERIES[metric], spec.gflops, value)
        for spec in list_specs()
        if spec.source == "torchvision" and spec.gflops is not None
        for metric, value in spec.metrics.items()
        if metric != "box_map" or spec.tasks == ("boxes",)
    ]
