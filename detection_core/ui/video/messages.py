"""Messages between Python and a VideoView: models, jobs, annotated videos, and the visitor's orders, validated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gradio.data_classes import FileData, GradioModel

from detection_core.detections import plural
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.client_values import bounded, items_of_type, mapping_of, read_style
from detection_core.ui.components.messages import PageMessage, ViewError
from detection_core.video import VIDEO_FORMATS, FrameCounts, VideoOptions, lowest_kept
from detection_core.visualization import PALETTE, AnnotationStyle, to_hex

# In how many frames a second objects are detected, by what the browser calls it.
RATES: dict[str, float | None] = {"all": None, "10": 10.0, "5": 5.0, "2": 2.0, "1": 1.0}
DEFAULT_RATE = "10"
# The annotated video itself can be chosen, too, beside the formats of results.
VIDEO_FORMAT = "mp4"
_LAYERS_OF_TASKS = {"boxes": ["boxes", "labels"], "masks": ["masks", "contours"], "keypoints": ["skeletons"]}


class VideoModel(GradioModel):
    """The chosen model.

    Attributes:
        threshold: The default one.
        floor: The lowest that can be chosen.
        layers: The layers that its results can be drawn in.
        button: The label of the button that starts detection.
    """

    key: str
    title: str
    threshold: float
    floor: float
    layers: list[str]
    button: str


class VideoStart(GradioModel):
    """A job on a video has begun: the browser then asks for its progress.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        video: Name of the video on the server.
        kind: Whether objects are detected, or the detections are only drawn again.
    """

    turn: str
    video: str
    kind: Literal["detect", "draw"]


class VideoClass(GradioModel):
    """How many objects of a class there are: in each frame, and different ones in `total`, which is None if they were not tracked."""

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
        model: Key of the model.
        threshold: Lowest score shown.
        track: Whether objects were tracked.
        frames: In how many frames objects were detected.
        seconds: How long detection took.
        complete: Whether it reached the video's end.
        times: Seconds of each frame.
        classes: Classes of the detected objects, most frequent first; also those that are switched off.
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
    """A message to the view; a part that is None or empty leaves the view's part as it is, except `error`, which is removed."""

    model: VideoModel | None = None
    # The server's example, played like a visitor's own video.
    example: FileData | None = None
    start: VideoStart | None = None
    outcome: VideoOutcome | None = None
    # Only on the way from the browser.
    order: dict[str, Any] | None = None


@dataclass(frozen=True)
class VideoOrder:
    """An order of the visitor: a video, the options, and files.

    Attributes:
        video: Name of the video on the server, where there is one.
        path: The uploaded file, as the browser names it.
        name: What the visitor calls it.
        rate: Key of `RATES`.
        threshold: Lowest score shown, or None for the model's default one.
        track: Whether objects are tracked.
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
        values = mapping_of(sent)
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
        """The order as options of detection with this model."""
        threshold = spec.video_threshold if self.threshold is None else self.threshold
        return VideoOptions(
            # The slider ends at the minimum score rounded down.
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
    """A message about the chosen model."""
    layers = [layer for task in spec.tasks for layer in _LAYERS_OF_TASKS[task]]
    return VideoMessage(
        model=VideoModel(
            key=spec.key, title=spec.title, threshold=spec.video_threshold, floor=model_floor(spec), layers=layers, button=button
        )
    )


def video_error(title: str, text: str) -> VideoMessage:
    """An error; what the view shows stays."""
    return VideoMessage(error=ViewError(title=title, text=text))


def video_download(path: str, name: str) -> VideoMessage:
    """A file that the browser saves at once under `name`."""
    return VideoMessage(download=FileData(path=path), download_name=name)


def video_classes(counts: FrameCounts, categories: tuple[str, ...]) -> list[VideoClass]:
    """The classes with their counts in each frame and their colors, which are by class id, as everywhere."""
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
