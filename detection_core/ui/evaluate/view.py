"""The two views of the tab: one that takes the data, and one that shows the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detection_core.evaluation.overlaps import LOWEST_IOU
from detection_core.evaluation.report import CLASSES_FILE, METRICS_FILE, REPORT_FILE, THRESHOLDS_FILE
from detection_core.ui.components.base import View
from detection_core.ui.evaluate.images import MOST_CROPS
from detection_core.ui.evaluate.messages import DataMessage, DataOrder, EvaluateMessage, EvaluateOrder
from detection_core.ui.evaluate.uploads import MOST_FILES

FILES = {
    "report": (REPORT_FILE, "All tables and charts as one page that needs no other file."),
    "metrics": (METRICS_FILE, "All figures for programs."),
    "classes": (CLASSES_FILE, "A row for each model and class, for spreadsheets."),
    "thresholds": (THRESHOLDS_FILE, "The thresholds that you have chosen, for `detect --thresholds` and `evaluate --thresholds`."),
}


class DataView(View):
    """The annotated images: the built-in sample, an archive or a folder; and results files of other tools.

    As an output it takes a `DataMessage`, as an input it gives the `DataOrder`. Its events: `read` asks to read data (its data has `files`,
    none for the sample, and the `part` to read), `skip` to leave faults out.
    """

    data_model = DataMessage
    files = "evaluate/data"
    browser_events = ("read", "skip")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(constants={"most": MOST_FILES}, **kwargs)

    def preprocess(self, payload: DataMessage | None) -> DataOrder:
        """What the visitor has chosen."""
        return DataOrder.from_client(payload.order if payload else None)

    def example_payload(self) -> Any:
        """An order as a browser sends it."""
        return {"order": {"evaluation": ""}}


class EvaluateView(View):
    """The results: tables, curves with thresholds, confusion matrix, kinds of errors, calibration, comparisons of two models, and cost.

    As an output it takes an `EvaluateMessage`, as an input it gives the `EvaluateOrder`. Its events, whose data is an order, too: `look`
    asks for other results of the same run, `again` for an evaluation with other partners of classes, `download` for a file.

    Args:
        crops: Server function that gives objects as small images; it gets `evaluation`, `iou_type` and `items`.
        whole_image: Server function that gives a whole image; it gets `evaluation`, `iou_type`, `image`, `model` and `lowest`, a score.
    """

    data_model = EvaluateMessage
    files = "evaluate/view"
    styles = ("view", "export_menu")
    browser_events = ("look", "again", "download")

    def __init__(self, crops: Callable[..., Any], whole_image: Callable[..., Any], **kwargs: Any) -> None:
        constants = {
            "lowestIou": LOWEST_IOU,
            "mostCrops": MOST_CROPS,
            "exportFormats": [{"key": key, "title": title, "description": words} for key, (title, words) in FILES.items()],
        }
        super().__init__(constants=constants, server_functions=[crops, whole_image], **kwargs)

    def preprocess(self, payload: EvaluateMessage | None) -> EvaluateOrder:
        """The visitor's order."""
        return EvaluateOrder.from_client(payload.order if payload else None)

    def example_payload(self) -> Any:
        """An order as a browser sends it."""
        return {"order": {"iou_type": "bbox", "iou": 0.5}}
