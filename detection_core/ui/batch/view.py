"""BatchView: many images with their boxes as a gallery or a table, filtered in the browser without asking the server again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradio.data_classes import FileData, GradioModel

from detection_core.detections import plural
from detection_core.formats import FORMATS
from detection_core.images.formats import READABLE
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.base import View
from detection_core.ui.components.client_values import bounded, items_of_type, mapping_of, text_of
from detection_core.ui.components.export_choices import format_choices
from detection_core.ui.components.messages import PageMessage, ViewCategory, ViewError, ViewModel

_DEFAULT_FORMATS = ("json", "png")


class BatchStart(GradioModel):
    """A model is ready: the browser then sends one image after another.

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
    """A message to the view; a part that is None or empty leaves the view's part as it is, except `error`, which is removed."""

    start: BatchStart | None = None
    # Images to try, which the browser adds like a visitor's own.
    examples: list[FileData] | None = None
    # Only on the way from the browser.
    batch: str = ""


@dataclass(frozen=True)
class BatchOrder:
    """The files that the visitor wants.

    Attributes:
        batch: Name of the batch.
        images: The browser's ids of the chosen images, in their order.
        formats: Keys of `FORMATS`, those that exist.
        threshold: Objects with a score of at least this are exported, 0–1.
        annotations: The uploaded annotation file whose ids COCO files get, or "".
        annotations_name: What the visitor calls it.
    """

    batch: str
    images: list[str]
    formats: list[str]
    threshold: float
    annotations: str = ""
    annotations_name: str = ""

    @classmethod
    def from_client(cls, sent: object) -> BatchOrder:
        """Reads what a browser sent; anything missing or of a wrong type is empty, numbers out of range become the nearest bound."""
        values = mapping_of(sent)
        batch = values.get("batch")
        wanted = items_of_type(values.get("formats"), str)
        annotations = mapping_of(values.get("annotations"))
        return cls(
            batch=batch if isinstance(batch, str) else "",
            images=list(dict.fromkeys(items_of_type(values.get("images"), str))),
            formats=[key for key in FORMATS if key in wanted],
            threshold=bounded(values.get("threshold"), 0, 1, 0.5),
            annotations=text_of(annotations.get("path")),
            annotations_name=text_of(annotations.get("name")),
        )


class BatchView(View):
    """Many images as a gallery or a table: adding, detection with progress and cancel, threshold, selection and export.

    As an output it takes a `BatchMessage` (see `batch_start` and its neighbors), as an input it gives the name of its batch. Its events:
    `begin` asks for detection, `examples` for images to try, `finished` says that it has ended, `download` asks for files (its data is a
    `BatchOrder`), `open` asks to see one image in full (its data has `batch` and `id`).

    Args:
        detect_image: Server function that detects objects in one image, see `detect_in_image`.
        give_up: Server function that cancels detection; it gets `batch`.
        forget: Server function that removes images; it gets `batch` and `images`, a list of ids.
        most: How many images a batch may have.
        largest: How large each file may be, in bytes.
    """

    data_model = BatchMessage
    files = "batch/view"
    styles = ("view", "export_menu", "drop_zone")
    browser_events = ("begin", "examples", "finished", "download", "open")

    def __init__(
        self,
        detect_image: Callable[..., Any],
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
            "numberedFormats": [key for key, known in FORMATS.items() if known.numbered],
        }
        super().__init__(constants=constants, server_functions=[detect_image, give_up, forget], **kwargs)

    def preprocess(self, payload: BatchMessage | None) -> str:
        """Name of the batch, or ""; the batch may no longer exist."""
        return payload.batch if payload else ""

    def example_payload(self) -> Any:
        """A batch's name as a browser sends it."""
        return {"batch": ""}


def batch_start(turn: str, batch: str, spec: ModelSpec) -> BatchMessage:
    """The message that a model is ready for the images of a batch."""
    categories = {str(label): ViewCategory(name=name, plural=plural(name)) for label, name in enumerate(spec.categories)}
    model = ViewModel(key=spec.key, title=spec.title)
    start = BatchStart(turn=turn, batch=batch, model=model, threshold=spec.default_threshold, floor=spec.min_score, categories=categories)
    return BatchMessage(start=start)


def batch_error(title: str, text: str) -> BatchMessage:
    """An error; what the view shows stays."""
    return BatchMessage(error=ViewError(title=title, text=text))


def batch_download(path: str, name: str, notes: list[str]) -> BatchMessage:
    """A file that the browser saves at once under `name`, with sentences about its contents."""
    return BatchMessage(download=FileData(path=path), download_name=name, notes=notes)
