"""Messages to a LiveView: that a model is ready for the camera's frames, and errors, validated."""

from __future__ import annotations

from typing import Literal

from gradio.data_classes import GradioModel

from detection_core.detections import plural
from detection_core.models.empty import input_sides
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.messages import PageMessage, ViewCategory, ViewError, ViewModel, view_edges
from detection_core.visualization import Side


class LiveStart(GradioModel):
    """A model is ready: the browser then sends one frame after another.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        stream: Name of the stream on the server; frames carry it.
        model: The model.
        threshold: The default one, where the slider starts when the model changes.
        floor: The model's minimum score, where the slider ends.
        categories: By class id, written as a string because JSON has no other keys.
        edges: Limbs as two indices of keypoints and a side of the body.
        keypoint_names: Names of the keypoints.
        tasks: The model's tasks, of "boxes", "masks", "keypoints": the layers that the view offers.
        sides: Shorter and longer side in pixels (null: any); the model would shrink a larger frame.
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
    """A message to the view; a part that is None or empty leaves the view's part as it is, except `error`, which is removed.

    A `start` while no stream is running only informs the view about the model. An `error` ends the stream.
    """

    start: LiveStart | None = None
    # Only on the way from the browser.
    stream: str = ""


def live_start(turn: str, stream: str, spec: ModelSpec) -> LiveMessage:
    """The message that a model is ready for the frames of a stream."""
    start = LiveStart(
        turn=turn,
        stream=stream,
        model=ViewModel(key=spec.key, title=spec.title),
        threshold=spec.video_threshold,
        floor=spec.min_score,
        categories={str(label): ViewCategory(name=name, plural=plural(name)) for label, name in enumerate(spec.categories)},
        edges=view_edges(tuple(spec.keypoint_names)),
        keypoint_names=list(spec.keypoint_names),
        tasks=list(spec.tasks),
        sides=input_sides(spec),
    )
    return LiveMessage(start=start)


def live_error(title: str, text: str) -> LiveMessage:
    """An error, which ends the stream."""
    return LiveMessage(error=ViewError(title=title, text=text))
