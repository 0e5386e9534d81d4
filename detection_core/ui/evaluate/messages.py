"""Messages between Python and the tab's views: data, results, and the visitor's orders, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from detection_core.evaluation.ground_truth import IOU_TYPES, IouType
from detection_core.evaluation.overlaps import LOWEST_IOU
from detection_core.formats.thresholds import ModelThresholds
from detection_core.ui.components.client_values import bounded, mapping_of, text_of
from detection_core.ui.components.messages import PageMessage, ViewStatus

# Faults of the data that are listed.
MOST_FAULTS = 20
_MOST_CHANGES = 10_000


class DataFacts(GradioModel):
    """The data that is evaluated on.

    Attributes:
        evaluation: Name of the evaluation on the server.
        is_sample: Whether it is the built-in sample.
        tasks: What can be compared: keys of `IOU_TYPES`.
        faults: Its first faults in words; as long as there are any, nothing can be evaluated on it.
        fault_count: Number of all faults.
        parts: Names of the data's parts, such as its splits; empty if there is only one.
        part: The one that was read.
    """

    evaluation: str
    name: str
    is_sample: bool
    images: int
    objects: int
    classes: int
    tasks: list[str]
    faults: list[str] = Field(default_factory=list)
    fault_count: int = 0
    parts: list[str] = Field(default_factory=list)
    part: str = ""


class DataMessage(PageMessage):
    """A message to the data's view; a part that is None leaves the view's part as it is, except `error`, which is removed."""

    facts: DataFacts | None = None
    # Only on the way from the browser.
    order: dict[str, Any] | None = None


class EvaluateMessage(PageMessage):
    """A message to the results' view; a `result` that is None leaves the view's as it is; `status` and `error` are removed."""

    status: ViewStatus | None = None
    # See `payload.result_payload`; unlike any other's `turn`, because Gradio sends a message twice.
    turn: str = ""
    # What a link wants, see link.py.
    link: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    # Only on the way from the browser.
    order: dict[str, Any] | None = None


@dataclass(frozen=True)
class DataOrder:
    """What the visitor has chosen: the data, by its name on the server, and uploaded results files with their names."""

    evaluation: str = ""
    results: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_client(cls, sent: object) -> DataOrder:
        """Reads what a browser sent; anything missing or of a wrong type is empty."""
        values = mapping_of(sent)
        entries = values.get("results")
        files = [mapping_of(each) for each in entries[:_MOST_CHANGES]] if isinstance(entries, list) else []
        return cls(text_of(values.get("evaluation")), tuple((text_of(file.get("path")), text_of(file.get("name"))) for file in files))


@dataclass(frozen=True)
class EvaluateOrder:
    """How the visitor wants to see the results.

    Attributes:
        evaluation: Name of the evaluation on the server.
        iou_type: What is compared.
        iou: Lowest IoU of a match.
        changes: By a model's name, the data's class by the model's class; None leaves a class out.
        thresholds: Score thresholds by a model's name; those of single classes by the data's name of the class.
        format: Which file is to be downloaded.
    """

    evaluation: str = ""
    iou_type: IouType = "bbox"
    iou: float = 0.5
    changes: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    thresholds: Mapping[str, ModelThresholds] = field(default_factory=dict)
    format: str = ""

    @classmethod
    def from_client(cls, sent: object) -> EvaluateOrder:
        """Reads what a browser sent; anything missing or of a wrong type is a default, numbers out of range become the nearest bound."""
        values = mapping_of(sent)
        sent_type = values.get("iou_type")
        wanted: IouType = next((kind for kind in IOU_TYPES.values() if kind == sent_type), "bbox")
        changes = {name: _texts(each) for name, each in list(mapping_of(values.get("changes")).items())[:_MOST_CHANGES]}
        thresholds = {name: _thresholds(each) for name, each in list(mapping_of(values.get("thresholds")).items())[:_MOST_CHANGES]}
        return cls(
            evaluation=text_of(values.get("evaluation")),
            iou_type=wanted,
            iou=round(bounded(values.get("iou"), LOWEST_IOU, 1, 0.5), 2),
            changes=changes,
            thresholds={name: each for name, each in thresholds.items() if each is not None},
            format=text_of(values.get("format")),
        )


def _thresholds(sent: object) -> ModelThresholds | None:
    values = mapping_of(sent)
    usual = bounded(values.get("all"), 0, 1, -1)
    of_classes = {name: bounded(each, 0, 1, -1) for name, each in list(mapping_of(values.get("classes")).items())[:_MOST_CHANGES]}
    return None if usual < 0 else ModelThresholds(usual, {name: each for name, each in of_classes.items() if each >= 0})


def _texts(sent: object) -> dict[str, str | None]:
    pairs = list(mapping_of(sent).items())[:_MOST_CHANGES]
    return {own: partner for own, partner in pairs if partner is None or isinstance(partner, str)}
