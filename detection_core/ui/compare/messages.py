"""Messages to a CompareView: models with their results, costs, statuses and errors, and files, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from detection_core.detections import Detections
from detection_core.ui.components.messages import (
    PageMessage,
    ViewCategory,
    ViewError,
    ViewObject,
    ViewStatus,
    ViewTiming,
    view_categories,
    view_edges,
    view_objects,
)
from detection_core.visualization import ColorBy, Side, resolve_color_by


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


class CompareModel(GradioModel):
    """One of the compared models; it has `objects`, or a `status` while it is waiting, or an `error`."""

    # Unique in a message.
    id: str
    title: str
    # Whether a link can name it; it cannot name an imported file.
    linkable: bool = True
    status: ViewStatus | None = None
    error: ViewError | None = None
    threshold: float = 0.5
    floor: float = 0.0
    # By class id, written as a string because JSON has no other keys.
    categories: dict[str, ViewCategory] = Field(default_factory=dict)
    edges: list[tuple[int, int, Side]] = Field(default_factory=list)
    keypoint_names: list[str] = Field(default_factory=list)
    # None: not there yet.
    objects: list[ViewObject] | None = None
    color_by: Literal["class", "instance"] = "class"
    timings: list[ViewTiming] = Field(default_factory=list)
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
    return CompareModel(
        id=identity,
        title=title,
        linkable=linkable,
        threshold=threshold,
        floor=floor,
        categories=view_categories(detections),
        edges=view_edges(detections.keypoint_names),
        keypoint_names=list(detections.keypoint_names),
        objects=_exact_objects(detections, color_by),
        color_by=resolve_color_by(detections, color_by),
        timings=[ViewTiming(name=name, ms=ms) for name, ms in (timings or {}).items()],
        cost=cost,
    )


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


def _exact_objects(detections: Detections, color_by: ColorBy) -> list[ViewObject]:
    """Boxes and scores unrounded, so that the browser matches them exactly as Python does."""
    boxes, scores = detections.boxes.tolist(), detections.scores.tolist()
    drawn = view_objects(detections, color_by)
    return [item.model_copy(update={"box": box, "score": score}) for item, box, score in zip(drawn, boxes, scores, strict=True)]
