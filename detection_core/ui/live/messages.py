"""What Python tells a LiveView: that a model is ready for the camera's frames, and errors, as validated messages."""

from __future__ import annotations

from typing import Literal

from gradio.data_classes import GradioModel

from detection_core.detections import plural
from detection_core.models.empty import input_size
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.messages import PageMessage, ViewCategory, ViewError, ViewModel, view_edges
from detection_core.visualization import Side


class LiveStart(GradioModel):
    """Word that a model is ready: the browser then sends one frame after another.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        stream: Name of the stream on the server; frames carry it.
        model: Who looks.
        threshold: The default one, where the slider starts when the model changes.
        floor: The model's floor score, where the slider ends.
        categories: By class id, written as a string because JSON has no other keys.
        edges: Limbs as two indices of keypoints and a side of the body.
        keypoint_names: Names of the keypoints.
        tasks: What the model gives, of "boxes", "masks", "keypoints": the layers that the view offers.
        sides: Shorter and longer side in pixels (null: any) beyond which a frame tells the model no more.
        color_by: What colors stand for.
    """

    turn: str
    stream: str
    model: ViewModel
    threshold: float
    floor: float
    categories: dict[str, ViewCategory]
    edges: list[tuple[int, int, Side]]
    keypoint_names: list[str]
    tasks: list[str]
    sides: tuple[int, int | None]
    color_by: Literal["class", "instance"] = "instance"


class LiveMessage(PageMessage):
    """What Python tells the view; a part that is None or empty leaves the view's part as it is, except `error`, which goes away.

    A `start` that the visitor has not asked for, because nothing runs, only tells the view about the model. An `error` ends what runs.
    """

    start: LiveStart | None = None
    # Only on the way from the browser.
    stream: str = ""


def live_start(turn: str, stream: str, spec: ModelSpec) -> LiveMessage:
    """Word that a model is ready to look at the frames of a stream."""
    start = LiveStart(
        turn=turn,
        stream=stream,
        model=ViewModel(key=spec.key, title=spec.title),
        threshold=spec.default_threshold,
        floor=spec.min_score,
        categories={str(label): ViewCategory(name=name, plural=plural(name)) for label, name in enumerate(spec.categories)},
        edges=view_edges(tuple(spec.keypoint_names)),
        keypoint_names=list(spec.keypoint_names),
        tasks=list(spec.tasks),
        sides=input_size(spec.architecture),
    )
    return LiveMessage(start=start)


def live_error(title: str, text: str) -> LiveMessage:
    """What went wrong; what runs ends."""
    return LiveMessage(error=ViewError(title=title, text=text))
