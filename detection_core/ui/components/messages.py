"""Messages to a DetectionView: results, images, statuses, errors and files to save, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gradio.data_classes import FileData, GradioModel
from numpy.typing import NDArray
from pydantic import Field, model_validator

from detection_core.detections import Detections, plural
from detection_core.ui.components.export_choices import suiting_formats
from detection_core.visualization import EDGES, ColorBy, Side, object_colors, resolve_color_by, side, to_hex

StatusStage = Literal["queue", "download", "load", "run"]


class ViewModel(GradioModel):
    """A model by its key and its title."""

    key: str
    title: str


class ViewStatus(GradioModel):
    """What a job is doing; `total` is None if its length is unknown."""

    stage: StatusStage
    text: str
    done: float = 0
    total: float | None = None


class ViewError(GradioModel):
    """An error in words."""

    title: str
    text: str


class ViewTiming(GradioModel):
    """How long one step took."""

    name: str
    ms: float


class ViewCategory(GradioModel):
    """A class's name in singular and plural."""

    name: str
    plural: str


class ViewObject(GradioModel):
    """One object in pixels of the image; rings are flat lists x, y, x, y …, keypoints [x, y, logit], or None if it has none."""

    class_id: int
    score: float
    box: list[float]
    color: str
    polygons: list[list[float]] | None = None
    keypoints: list[list[float]] | None = None
    # Only of an image in slices: the score in the whole image, 0 where only slices found it.
    whole_score: float | None = None


class PageMessage(GradioModel):
    """The fields that the messages of all views have."""

    error: ViewError | None = None
    notes: list[str] = Field(default_factory=list)
    download: FileData | None = None
    # Gradio overwrites FileData.orig_name with the name on disk.
    download_name: str = ""
    # Only on the way from the browser.
    view: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_nothing(cls, value: Any) -> Any:
        """Gradio's page sends an empty string for a component without a value."""
        return {} if value == "" else value


class ViewResult(GradioModel):
    """A model's result on one image, and the status while there is none."""

    threshold: float = 0.5
    floor: float = 0.0
    status: ViewStatus | None = None
    timings: list[ViewTiming] = Field(default_factory=list)
    # By class id, written as a string because JSON has no other keys.
    categories: dict[str, ViewCategory] = Field(default_factory=dict)
    edges: list[tuple[int, int, Side]] = Field(default_factory=list)
    keypoint_names: list[str] = Field(default_factory=list)
    # None: not there yet.
    objects: list[ViewObject] | None = None
    color_by: Literal["class", "instance"] = "class"


class ViewMessage(PageMessage, ViewResult):
    """A message to the view.

    A part that is None or empty leaves the view's part as it is, except `status` and `error`, which are removed: so a status keeps the
    previous image on screen. Another `image` without `objects` shows the bare image. Messages that come faster than the browser
    draws may be skipped, all but the last, which has to be complete.
    """

    image: FileData | None = None
    width: int = 0
    height: int = 0
    model: ViewModel | None = None
    # Keys of the export formats that can hold the result.
    formats: list[str] = Field(default_factory=list)
    # The tiles of an image in slices, XYXY in pixels, without the whole image.
    tiles: list[tuple[int, int, int, int]] = Field(default_factory=list)
    # Opens the mode Explain, see `ui/explain/questions.py`.
    explain: dict[str, Any] | None = None
    # Only on the way from the browser.
    settings: dict[str, Any] | None = None


def view_payload(
    detections: Detections,
    image_path: str | Path,
    *,
    title: str = "",
    threshold: float = 0.5,
    floor: float = 0.0,
    color_by: ColorBy = "auto",
    timings: Mapping[str, float] | None = None,
    notes: Iterable[str] = (),
    tiles: Iterable[tuple[int, int, int, int]] = (),
) -> ViewMessage:
    """A complete result for the view: everything above the model's minimum score, so that the browser can filter it.

    Args:
        detections: All objects above the model's minimum score, in pixels of the upright image.
        image_path: The image that the browser shows; it must have `detections.image_size`.
        title: The model's name for people.
        threshold: The default one, where the slider starts when the model changes.
        floor: The model's minimum score, where the slider ends.
        color_by: What colors stand for.
        timings: Milliseconds of each step by name.
        notes: Remarks on this result, one line each.
        tiles: The tiles of an image in slices, XYXY in pixels.
    """
    height, width = detections.image_size
    result = view_result(detections, threshold=threshold, floor=floor, color_by=color_by, timings=timings)
    return ViewMessage(
        **dict(result),
        image=FileData(path=str(image_path)),
        width=width,
        height=height,
        model=ViewModel(key=detections.model, title=title),
        notes=list(notes),
        formats=suiting_formats(detections),
        tiles=list(tiles),
    )


def view_result(
    detections: Detections, *, threshold: float, floor: float, color_by: ColorBy, timings: Mapping[str, float] | None
) -> ViewResult:
    """The fields of a result that all views of one have; the arguments are those of `view_payload`."""
    return ViewResult(
        threshold=threshold,
        floor=floor,
        timings=[ViewTiming(name=name, ms=ms) for name, ms in (timings or {}).items()],
        categories=view_categories(detections),
        edges=view_edges(detections.keypoint_names),
        keypoint_names=list(detections.keypoint_names),
        objects=view_objects(detections, color_by),
        color_by=resolve_color_by(detections, color_by),
    )


def image_payload(
    image_path: str | Path,
    image_size: tuple[int, int],
    status: ViewStatus | None = None,
    tiles: Iterable[tuple[int, int, int, int]] = (),
) -> ViewMessage:
    """An image of `image_size` (height, width) that has no result yet; objects of another image are removed from the view."""
    return ViewMessage(image=FileData(path=str(image_path)), width=image_size[1], height=image_size[0], status=status, tiles=list(tiles))


def status_payload(stage: StatusStage, text: str, *, done: float = 0, total: float | None = None) -> ViewMessage:
    """The status of a job; what the view shows stays. Without a `total` the progress bar is indeterminate."""
    return ViewMessage(status=ViewStatus(stage=stage, text=text, done=done, total=total))


def error_payload(title: str, text: str) -> ViewMessage:
    """An error; what the view shows stays."""
    return ViewMessage(error=ViewError(title=title, text=text))


def download_payload(path: str | Path, name: str) -> ViewMessage:
    """A file that the browser saves at once under `name`; what the view shows stays."""
    return ViewMessage(download=FileData(path=str(path)), download_name=name)


def view_categories(detections: Detections) -> dict[str, ViewCategory]:
    """The classes that occur, by class id."""
    present = dict(zip(detections.labels.tolist(), detections.names, strict=True))
    return {str(label): ViewCategory(name=name, plural=plural(name)) for label, name in present.items()}


def view_objects(detections: Detections, color_by: ColorBy) -> list[ViewObject]:
    """The objects for drawing, with coordinates rounded to 0.1 pixels."""
    colors = object_colors(detections, color_by)
    boxes = _rounded(detections.boxes)
    return [
        ViewObject(
            class_id=int(detections.labels[i]),
            score=round(float(detections.scores[i]), 6),
            box=boxes[i],
            color=to_hex(colors[i]),
            polygons=None if detections.masks is None else [_rounded(ring.reshape(-1)) for ring in detections.polygons(i)],
            keypoints=_keypoints(detections, i) if has_keypoints else None,
            whole_score=None if detections.whole_scores is None else round(float(detections.whole_scores[i]), 6),
        )
        for i, has_keypoints in enumerate(detections.has_keypoints)
    ]


def view_edges(names: tuple[str, ...]) -> list[tuple[int, int, Side]]:
    """Limbs between the keypoints of these names, as two indices and a side of the body."""
    index = {name: i for i, name in enumerate(names)}
    return [(index[a], index[b], side(a, b)) for a, b in EDGES if a in index and b in index]


def _keypoints(detections: Detections, index: int) -> list[list[float]]:
    assert detections.keypoints is not None
    assert detections.keypoint_scores is not None
    rows: list[list[float]] = _rounded(np.column_stack([detections.keypoints[index], detections.keypoint_scores[index]]))
    return rows


def _rounded(values: NDArray[np.floating]) -> Any:
    """Nested lists rounded to 0.1; in float64, in which such numbers have short decimals."""
    return np.round(values.astype(np.float64), 1).tolist()
