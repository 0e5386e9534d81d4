"""BatchView: many images with their boxes as a gallery or a table, filtered in the browser without asking the server again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradio.data_classes import FileData, GradioModel

from detection_core.detections import plural
from detection_core.formats import FORMATS
from detection_core.images.formats import READABLE
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.base import View
from detection_core.ui.components.client_values import bounded, items_of_type
from detection_core.ui.components.export_choices import format_choices
from detection_core.ui.components.messages import PageMessage, ViewCategory, ViewError, ViewModel

_DEFAULT_FORMATS = ("json", "png")


class BatchStart(GradioModel):
    """Word that a model is ready to look: the browser then asks for one image after another.

    Attributes:
        turn: Unlike any other's, because Gradio sends a message twice.
        batch: Name of the batch on the server; results of another batch are no longer valid.
    """

    turn: str
    batch: str
    model: ViewModel
    threshold: float
    floor: float
    # By class id, written as a string because JSON has no other keys.
    categories: dict[str, ViewCategory]


class BatchMessage(PageMessage):
    """What Python tells the view; a part that is None or empty leaves the view's part as it is, except `error`, which goes away."""

    start: BatchStart | None = None
    # Only on the way from the browser.
    batch: str = ""


@dataclass(frozen=True)
class BatchOrder:
    """What the visitor wants as files.

    Attributes:
        batch: Name of the batch.
        images: The browser's ids of the chosen images, in their order.
        formats: Keys of `FORMATS`, those that exist.
        threshold: Objects with a score of at least this are exported, 0–1.
    """

    batch: str
    images: list[str]
    formats: list[str]
    threshold: float

    @classmethod
    def from_client(cls, sent: object) -> BatchOrder:
        """Reads what a browser sent; anything missing or of a wrong type is empty, numbers out of range become the nearest bound."""
        values = sent if isinstance(sent, Mapping) else {}
        batch = values.get("batch")
        wanted = items_of_type(values.get("formats"), str)
        return cls(
            batch=batch if isinstance(batch, str) else "",
            images=list(dict.fromkeys(items_of_type(values.get("images"), str))),
            formats=[key for key in FORMATS if key in wanted],
            threshold=bounded(values.get("threshold"), 0, 1, 0.5),
        )


class BatchView(View):
    """Many images as a gallery or a table: adding, looking with progress and cancel, threshold, selection and export.

    As an output it takes a `BatchMessage` (see `batch_start` and its neighbors), as an input it gives the name of its batch. Its events:
    `begin` asks for the start of a look, `settled` tells that it is over, `download` asks for files (its data is a `BatchOrder`), `open`
    for one image (its data has `batch` and `id`).

    Args:
        look_at: Server function that the browser asks for one image after another, see `batch_look`.
        give_up: Server function that ends what is being looked at; it gets `batch`.
        forget: Server function that lets go of results; it gets `batch` and `images`, a list of ids.
        most: How many images a batch may have.
        largest: How large each file may be, in bytes.
    """

    data_model = BatchMessage
    files = "batch/view"
    styles = ("view", "export_menu", "drop_zone")
    browser_events = ("begin", "settled", "download", "open")

    def __init__(
        self,
        look_at: Callable[..., Any],
        give_up: Callable[..., Any],
        forget: Callable[..., Any],
        *,
        most: int,
        largest: int,
        **kwargs: Any,
    ) -> None:
        constants = {
            "most": most,
            "largest": largest,
            "readable": READABLE,
            "exportFormats": format_choices(),
            "chosenFormats": list(_DEFAULT_FORMATS),
        }
        super().__init__(constants=constants, server_functions=[look_at, give_up, forget], **kwargs)

    def preprocess(self, payload: BatchMessage | None) -> str:
        """Name of the batch, or ""; of which there may be none any more."""
        return payload.batch if payload else ""

    def example_payload(self) -> Any:
        """A batch's name as a browser sends it."""
        return {"batch": ""}


def batch_start(turn: str, batch: str, spec: ModelSpec) -> BatchMessage:
    """Word that a model is ready to look at the images of a batch."""
    categories = {str(label): ViewCategory(name=name, plural=plural(name)) for label, name in enumerate(spec.categories)}
    model = ViewModel(key=spec.key, title=spec.title)
    start = BatchStart(turn=turn, batch=batch, model=model, threshold=spec.default_threshold, floor=spec.min_score, categories=categories)
    return BatchMessage(start=start)


def batch_error(title: str, text: str) -> BatchMessage:
    """What went wrong; what the view shows stays."""
    return BatchMessage(error=ViewError(title=title, text=text))


def batch_download(path: str, name: str) -> BatchMessage:
    """A file that the browser saves at once under `name`."""
    return BatchMessage(download=FileData(path=path), download_name=name)
