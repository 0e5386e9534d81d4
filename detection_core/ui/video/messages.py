"""What Python and a VideoView tell each other: videos, work that has begun, annotated videos, and what the visitor wants, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradio.data_classes import FileData, GradioModel

from detection_core.detections import plural
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.client_values import bounded, items_of_type, read_style
from detection_core.ui.components.messages import PageMessage, ViewError
from detection_core.video import VIDEO_FORMATS, FrameCounts, VideoOptions, lowest_kept
from detection_core.visualization import PALETTE, AnnotationStyle, to_hex

# How many frames a second are looked at, by what the browser calls it.
RATES: dict[str, float | None] = {"all": None, "10": 10.0, "5": 5.0, "2": 2.0, "1": 1.0}
DEFAULT_RATE = "10"
# The annotated video itself is a choice beside the formats of what was found.
VIDEO_FORMAT = "mp4"
_LAYERS_OF_TASKS = {"boxes": ["boxes", "labels"], "masks": ["masks", "contours"], "keypoints": ["skeletons"]}


class VideoModel(GradioModel):
    """The chosen model, and what the button says that has it look.

    Attributes:
        threshold: The default one.
        floor: The lowest that can be chosen.
        layers: What there is to be drawn of its results.
    """

    key: str
    title: str
    threshold: float
    floor: float
    layers: list[str]
    button: str


class VideoStart(GradioModel):
    """Word that work on a video has begun: the browser then asks how far it is.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        video: Name of the video on the server.
        kind: Whether the model looks, or what it found is only drawn again.
    """

    turn: str
    video: str
    kind: Literal["detect", "draw"]


class VideoClass(GradioModel):
    """How often a class occurs: in each frame, and how many different ones; `total` None where nobody followed them."""

    name: str
    plural: str
    color: str
    counts: list[int]
    total: int | None


class VideoOutcome(GradioModel):
    """An annotated video.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        video: Name of the video on the server.
        file: The MP4 file.
        model: Key of the model that looked.
        threshold: Lowest score shown.
        track: Whether objects were followed.
        frames: How many were looked at.
        seconds: How long that took.
        complete: Whether it came to the video's end.
        times: Seconds of each frame.
        classes: What was found, most frequent first; also those that are switched off.
    """

    turn: str
    video: str
    file: FileData
    model: str
    threshold: float
    track: bool
    frames: int
    seconds: float
    complete: bool
    times: list[float]
    classes: list[VideoClass]


class VideoMessage(PageMessage):
    """What Python tells the view; a part that is None or empty leaves the view's part as it is, except `error`, which goes away."""

    model: VideoModel | None = None
    # A video that the server brings, played like a visitor's own.
    example: FileData | None = None
    start: VideoStart | None = None
    outcome: VideoOutcome | None = None
    # Only on the way from the browser.
    order: dict[str, Any] | None = None


@dataclass(frozen=True)
class VideoOrder:
    """What the visitor wants.

    Attributes:
        video: Name of the video on the server, where there is one.
        path: The uploaded file, as the browser names it.
        name: What the visitor calls it.
        rate: Key of `RATES`.
        threshold: Lowest score shown, or None for the model's default one.
        track: Whether objects are followed.
        hidden_classes: Names of the classes that are switched off.
        style: How the video is drawn.
        formats: `VIDEO_FORMAT` and keys of `VIDEO_FORMATS`, those that exist.
    """

    video: str = ""
    path: str = ""
    name: str = ""
    rate: str = DEFAULT_RATE
    threshold: float | None = None
    track: bool = True
    hidden_classes: frozenset[str] = frozenset()
    style: AnnotationStyle = field(default_factory=AnnotationStyle)
    formats: tuple[str, ...] = ()

    @classmethod
    def from_client(cls, sent: object) -> VideoOrder:
        """Reads what a browser sent; anything missing or of a wrong type is a default, numbers out of range become the nearest bound."""
        values = sent if isinstance(sent, Mapping) else {}
        texts = {name: value for name in ("video", "path", "name") if isinstance(value := values.get(name), str)}
        rate, track = values.get("rate"), values.get("track")
        threshold = bounded(values.get("threshold"), 0, 1, -1)
        wanted = items_of_type(values.get("formats"), str)
        return cls(
            **texts,
            rate=rate if isinstance(rate, str) and rate in RATES else DEFAULT_RATE,
            threshold=None if threshold < 0 else threshold,
            track=track if isinstance(track, bool) else True,
            hidden_classes=frozenset(items_of_type(values.get("hidden_classes"), str)),
            style=read_style(values),
            formats=tuple(key for key in (VIDEO_FORMAT, *VIDEO_FORMATS) if key in wanted),
        )

    def options(self, spec: ModelSpec) -> VideoOptions:
        """The same for the video's way through a model."""
        threshold = spec.default_threshold if self.threshold is None else self.threshold
        return VideoOptions(
            # The slider ends at the floor rounded down.
            threshold=max(threshold, model_floor(spec)),
            fps=RATES[self.rate],
            track=self.track,
            classes=frozenset(spec.class_names) - self.hidden_classes if self.hidden_classes else None,
            style=self.style,
        )


def model_floor(spec: ModelSpec) -> float:
    """The lowest threshold that can be chosen for a video."""
    return lowest_kept(spec.min_score, spec.default_threshold)


def video_model(spec: ModelSpec, button: str) -> VideoMessage:
    """Tells of the chosen model."""
    layers = [layer for task in spec.tasks for layer in _LAYERS_OF_TASKS[task]]
    return VideoMessage(
        model=VideoModel(
            key=spec.key, title=spec.title, threshold=spec.default_threshold, floor=model_floor(spec), layers=layers, button=button
        )
    )


def video_error(title: str, text: str) -> VideoMessage:
    """What went wrong; what the view shows stays."""
    return VideoMessage(error=ViewError(title=title, text=text))


def video_download(path: str, name: str) -> VideoMessage:
    """A file that the browser saves at once under `name`."""
    return VideoMessage(download=FileData(path=path), download_name=name)


def video_classes(counts: FrameCounts, categories: tuple[str, ...]) -> list[VideoClass]:
    """What is to be seen at which time, in words and colors; colors are by class id, as everywhere."""
    ids = {name: index for index, name in reversed(list(enumerate(categories)))}
    total = counts.total
    return [
        VideoClass(
            name=name,
            plural=plural(name),
            color=to_hex(PALETTE[ids.get(name, 0) % len(PALETTE)]),
            counts=each,
            total=None if total is None else total.get(name, 0),
        )
        for name, each in counts.counts.items()
    ]
