"""Messages to a CompareView: models with their results, costs, statuses and errors, and files, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from detection_core.detections import Detections
from detection_core.ui.components.messages import (
    PageMessage,
    ViewError,
    ViewObject,
    ViewResult,
    ViewStatus,
    ViewTiming,
    view_result,
)
from detection_core.visualization import ColorBy


class CompareCost(GradioModel):
    """The cost of one model on this machine; None stands for what has not been measured."""

    # Median, lowest and highest of `runs`, with the model warm.
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    runs: int = 0
    parts: list[ViewTiming] = Field(default_factory=list)
    # Weights and working memory.
    memory_mb: float | None = None
    box_ap: float | None = None
    metrics_on: str = ""


class CompareModel(ViewResult):
    """One of the compared models; it has `objects`, or a `status` while it is waiting, or an `error`."""

    # Unique in a message.
    id: str
    title: str
    # Whether a link can name it; it cannot name an imported file.
    linkable: bool = True
    error: ViewError | None = None
    cost: CompareCost | None = None


class ComparePoint(GradioModel):
    """A model in the scatter of latency against accuracy."""

    id: str
    title: str
    latency_ms: float | None = None
    box_ap: float | None = None
    compared: bool = False


class CompareMessage(PageMessage):
    """A message to the view.

    With an `image` a message is complete: everything known about all models. Without one, the image and the models stay as they are, and
    only what the message holds changes: `points`, `notes`, a file to save; `status` and `error` are removed if it has none, and without a
    `status` no model is waiting any longer. Messages that come faster than the browser draws may be skipped, all but the last.
    """

    image: FileData | None = None
    width: int = 0
    height: int = 0
    # What a link calls the image, such as "example:astronaut"; "" if no link can name it.
    link_name: str = ""
    models: list[CompareModel] = Field(default_factory=list)
    points: list[ComparePoint] = Field(default_factory=list)
    # Of all models together, like `error`; each has its own, too.
    status: ViewStatus | None = None
    # Settings from a link as the browser sends them; applied once, however often they come.
    restore: dict[str, Any] | None = None
    # Only on the way from the browser.
    settings: dict[str, Any] | None = None


def compare_model(
    identity: str,
    title: str,
    detections: Detections,
    *,
    threshold: float = 0.5,
    floor: float = 0.0,
    color_by: ColorBy = "class",
    timings: Mapping[str, float] | None = None,
    cost: CompareCost | None = None,
    linkable: bool = True,
) -> CompareModel:
    """A model with all its detections.

    Args:
        identity: Unique among the compared models.
        title: The model's name for people.
        detections: All objects above the model's minimum score, in pixels of the upright image.
        threshold: The default one.
        floor: The model's minimum score.
        color_by: What colors stand for; by class they are the same in every view.
        timings: Milliseconds of each step by name.
        cost: Its cost, if it has been measured.
        linkable: Whether a link can name it.
    """
    result = view_result(detections, threshold=threshold, floor=floor, color_by=color_by, timings=timings)
    exact = result.model_copy(update={"objects": _exact(result.objects or [], detections)})
    return CompareModel(**dict(exact), id=identity, title=title, linkable=linkable, cost=cost)


def waiting_model(identity: str, title: str, status: ViewStatus, cost: CompareCost | None = None) -> CompareModel:
    """A model that has no result yet."""
    return CompareModel(id=identity, title=title, status=status, cost=cost)


def failed_model(identity: str, title: str, error: ViewError, cost: CompareCost | None = None) -> CompareModel:
    """A model that cannot give a result, with the reason."""
    return CompareModel(id=identity, title=title, error=error, cost=cost)


def compare_payload(
    image_path: str | Path,
    image_size: tuple[int, int],
    models: Iterable[CompareModel],
    *,
    link_name: str = "",
    points: Iterable[ComparePoint] = (),
    notes: Iterable[str] = (),
    status: ViewStatus | None = None,
    restore: Mapping[str, Any] | None = None,
) -> CompareMessage:
    """A complete message: an image of `image_size` (height, width) and everything known about all models.

    Args:
        image_path: The image that the browser shows.
        image_size: Its height and width in pixels.
        models: Two to four, in the order of their views.
        link_name: What a link calls the image, or "".
        points: Models with known latency and accuracy, compared or not.
        notes: Remarks, one line each.
        status: What all models are waiting for.
        restore: Settings from a link, see `link.settings_from_link`.
    """
    height, width = image_size
    return CompareMessage(
        image=FileData(path=str(image_path)),
        width=width,
        height=height,
        link_name=link_name,
        models=list(models),
        points=list(points),
        notes=list(notes),
        status=status,
        restore=dict(restore) if restore is not None else None,
    )


def _exact(objects: list[ViewObject], detections: Detections) -> list[ViewObject]:
    """Boxes and scores unrounded, so that the browser matches them exactly as Python does."""
    boxes, scores = detections.boxes.tolist(), detections.scores.tolist()
    return [each.model_copy(update={"box": box, "score": score}) for each, box, score in zip(objects, boxes, scores, strict=True)]
