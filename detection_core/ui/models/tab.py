"""The Models tab: every model in one sortable table, and what accuracy costs."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from detection_core.engine import Engine
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.ui.models.view import ModelTable

if TYPE_CHECKING:
    from detection_core.visualization.charts import ChartPoint

_SERIES = {"box_map": "boxes", "mask_map": "masks", "kp_map": "keypoints"}
# The chart is drawn once for each kind of window, width and height in CSS pixels, and the page's style shows the one that fits.
_SIZES = {"wide": (1392, 540), "middle": (760, 540), "narrow": (366, 640)}
_HOLLOW_LABEL = "Built in (other images)"


def build_models_tab(tab: gr.Tab, engine: Engine) -> ModelTable:
    """Adds the tab's content to the page being built.

    Args:
        tab: The tab; its chart is drawn when somebody opens it.
        engine: Where detection runs.

    Returns:
        The table, so that the page can refresh it when the tab is opened.
    """
    gr.HTML(
        "<h2>All models</h2><p>Average precisions are the published ones, in percent. Keypoint R-CNN's box AP is over persons only; models "
        "that are built in were measured on other images, and yours on yours: compare them within their kind. Checkpoints in the models "
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
    """The chart and its caption as HTML. Importing matplotlib and drawing take a second, for which the page's start should not wait."""
    from detection_core.visualization.charts import accuracy_cost_chart

    points = chart_points()
    charts = "".join(
        f'<div class="chart {name}">{accuracy_cost_chart(points, *size, hollow_label=_HOLLOW_LABEL)}</div>' for name, size in _SIZES.items()
    )
    return f"<figure>{charts}<figcaption>{escape(chart_caption())}</figcaption></figure>"


def chart_points() -> list[ChartPoint]:
    """What the chart shows.

    Of torchvision's models, the published average precision of what each is for: of boxes only where it gives nothing else. Of those built
    in, all, and hollow, because they were measured on other images. The user's own are left out: theirs are on any images whatever.
    """
    from detection_core.visualization.charts import ChartPoint

    return [
        ChartPoint(chart_name(spec), _SERIES[metric], spec.gflops, value, hollow=spec.source == "embedded")
        for spec in list_specs()
        if spec.source != "user" and spec.gflops is not None
        for metric, value in spec.metrics.items()
        if metric != "box_map" or spec.tasks == ("boxes",) or spec.source == "embedded"
    ]


def chart_caption() -> str:
    """What the average precisions were measured on."""
    built_in = [f"{chart_name(spec)} on {spec.metrics_on}" for spec in list_specs() if spec.source == "embedded" and spec.metrics]
    return (
        "Filled points are the precisions that torchvision publishes, measured on COCO val2017. Hollow points are of models that are built "
        f"in and were measured on other images, so compare them with each other only: {'; '.join(built_in)}."
    )


def chart_name(spec: ModelSpec) -> str:
    """A model's name, as short as it can be without being mistaken for another one's."""
    return spec.title.removesuffix(" (built in)").replace(" FPN", "")
