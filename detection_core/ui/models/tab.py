"""The Models tab: every model in one sortable table, and what accuracy costs."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from detection_core.engine import Engine
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.ui.models.view import ModelTable
from detection_core.ui.shared.events import QUIET

if TYPE_CHECKING:
    from detection_core.visualization.charts import ChartPoint

_SERIES = {"box_map": "boxes", "mask_map": "masks", "kp_map": "keypoints"}
# The chart is drawn once for each kind of window, width and height in CSS pixels, and the page's style shows the one that fits.
_SIZES = {"wide": (1392, 540), "middle": (760, 540), "narrow": (366, 640)}
_TABLE_INTRODUCTION = (
    "<h2>All models</h2><p>Average precisions are the published ones, in percent. Keypoint R-CNN's box AP is over persons only; models "
    "that are built in were measured on other images, and yours on yours, so compare them only with their own kind. Checkpoints in the "
    "models folder are listed here automatically.</p>"
)
_HOLLOW_LABEL = "Built in (other images)"


class ModelsTab:
    """The Models tab: `layout` makes its components, `wire` connects them.

    Args:
        engine: Knows where each model is.

    Attributes:
        table: The table, for the page to refresh.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def layout(self) -> None:
        """Adds the components to the page being built."""
        gr.HTML(_TABLE_INTRODUCTION, elem_classes="section")
        self.table = ModelTable(self._engine.model_states())
        gr.HTML("<h2>What accuracy costs</h2>", elem_classes="section")
        self._chart = gr.HTML("<p>Drawing the chart …</p>", elem_id="accuracy-cost")

    def wire(self, tab: gr.Tab) -> None:
        """Connects the events.

        Args:
            tab: The tab; its chart is drawn when it is opened.
        """
        tab.select(chart, None, self._chart, queue=False, **QUIET)


@cache
def chart() -> str:
    """The chart and its caption as HTML. Importing matplotlib and drawing take a second, which must not delay the start of the page."""
    from detection_core.visualization.charts import accuracy_cost_chart

    points = chart_points()
    charts = "".join(
        f'<div class="chart {name}">{accuracy_cost_chart(points, *size, hollow_label=_HOLLOW_LABEL)}</div>' for name, size in _SIZES.items()
    )
    return f"<figure>{charts}<figcaption>{escape(chart_caption())}</figcaption></figure>"


def chart_points() -> list[ChartPoint]:
    """The points of the chart.

    For torchvision's models these are the published average precisions of their tasks, of boxes only if a model has no other task. For
    built-in models these are all precisions, as hollow points, because they were measured on other images. Users' models are left out,
    because it is unknown on which images they were measured.
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
    """Says on which images the average precisions were measured."""
    built_in = [f"{chart_name(spec)} on {spec.metrics_on}" for spec in list_specs() if spec.source == "embedded" and spec.metrics]
    return (
        "Filled points are the precisions that torchvision publishes, measured on COCO val2017. Hollow points are of models that are built "
        f"in and were measured on other images, so compare them with each other only: {'; '.join(built_in)}."
    )


def chart_name(spec: ModelSpec) -> str:
    """A model's name, as short as it can be without being mistaken for another one's."""
    return spec.title.removesuffix(" (built in)").replace(" FPN", "")
