"""The Batch tab: many images or a folder and a model in, a gallery with counts and a ZIP of everything out."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from detection_core.engine import Engine
from detection_core.file_names import shortened
from detection_core.formats import FORMATS, ImageResult, export, provenance_of
from detection_core.images.reading import ImageError
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.ui.batch.images import Answer
from detection_core.ui.batch.images import look_at as look_at_image
from detection_core.ui.batch.store import Batch, BatchExpiredError, BatchImage, BatchStore, most_images
from detection_core.ui.batch.view import BatchMessage, BatchOrder, BatchView, batch_download, batch_error, batch_start
from detection_core.ui.components.client_values import items_of_type
from detection_core.ui.components.model_picker import ModelPicker, detect_label, picker_value
from detection_core.ui.shared.limits import IMAGE_LIMIT
from detection_core.ui.shared.progress import explain
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import object_colors


@dataclass(frozen=True)
class BatchTab:
    """What the page needs of the tab.

    Attributes:
        picker: The model picker, to be refreshed.
        view: The gallery; its event `open` tells that the visitor wants to see one image.
        opened: Gives that image's file and the model's key, from the event's data, or None if it is no longer kept.
    """

    picker: ModelPicker
    view: BatchView
    opened: Callable[[object], tuple[Path, str] | None]


def build_batch_tab(page: gr.Blocks, engine: Engine, batches: BatchStore) -> BatchTab:
    """Adds the tab's content to the page being built.

    Args:
        page: The page; what its visitors leave behind is let go of.
        engine: Where detection runs.
        batches: Where results are kept.

    Raises:
        ValueError: If DETECTION_EXPLORER_MAX_BATCH is not a positive whole number.
    """
    most = most_images()

    async def look_at(sent: Any) -> Answer:
        return await look_at_image(sent, engine, batches, most)

    async def give_up(sent: Any) -> None:
        if (batch := _named(batches, sent)) is not None:
            batch.give_up()

    async def forget(sent: Any) -> None:
        if (batch := _named(batches, sent)) is not None:
            batches.forget(batch, items_of_type(sent.get("images"), str))

    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            picker = ModelPicker(engine.model_states())
            detect = gr.Button("Detect", variant="primary")
        with gr.Column(scale=1, min_width=320):
            view = BatchView(look_at, give_up, forget, most=most, largest=IMAGE_LIMIT)

    def choose(key: str) -> tuple[dict[str, Any], Any]:
        """The picker, and the button that says what pressing it entails."""
        states = engine.model_states()
        return picker_value(key, states), gr.update(value=detect_label(key, states))

    def begin(key: str, held: str, request: gr.Request) -> BatchMessage:
        """Says that the model may look; what it has looked at already stays."""
        try:
            batch = batches.begin(visitor_of(request, "batch"), get_model_spec(key), held)
        except UnknownModelError as error:
            return BatchMessage(error=explain(error, key))
        return batch_start(secrets.token_hex(8), batch.token, batch.spec)

    def arrive(key: str, held: str, request: gr.Request) -> BatchMessage:
        """Images that have just come are looked at at once, unless the model must be downloaded: that waits for the button."""
        if engine.model_states().get(key) == "to download":
            return BatchMessage(notes=["This model must be downloaded first: press the button under it, or choose another one."])
        return begin(key, held, request)

    def download(event: gr.EventData) -> BatchMessage:
        """Writes everything chosen into one archive."""
        order = BatchOrder.from_client(event._data)
        try:
            batch = batches.find(order.batch)
            path = pack(batch, order, Path(view.GRADIO_CACHE))
        except (BatchExpiredError, ImageError, NothingToPackError) as error:
            return batch_error("The files cannot be written", str(error))
        except OSError as error:
            return batch_error("The files cannot be written", f"The server says: {error.strerror}.")
        view.temp_files.add(str(path))
        return batch_download(str(path), path.name)

    def opened(data: object) -> tuple[Path, str] | None:
        batch = _named(batches, data)
        identity = data.get("id") if isinstance(data, Mapping) else None
        image = batch.images.get(identity) if batch is not None and isinstance(identity, str) else None
        return (image.path, batch.spec.key) if batch is not None and image is not None else None

    def leave(request: gr.Request) -> None:
        batches.leave(visitor_of(request, "batch"))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    # A choice that follows quickly, of a precision say, must not be lost.
    picker.select(choose, picker, [picker, detect], queue=False, trigger_mode="always_last", **quiet)
    # A look may have downloaded the model.
    view.settled(choose, picker, [picker, detect], queue=False, **quiet)
    detect.click(begin, [picker, view], view, queue=False, **quiet)
    view.begin(arrive, [picker, view], view, queue=False, **quiet)
    view.download(download, None, view, concurrency_limit=2, **quiet)
    page.unload(leave)
    return BatchTab(picker, view, opened)


class NothingToPackError(ValueError):
    """There is nothing to export; the message is for people."""


def pack(batch: Batch, order: BatchOrder, folder: Path) -> Path:
    """Writes the chosen images' results into a ZIP archive, with one image in memory at a time.

    Args:
        batch: The images.
        order: Which of them, in which formats, from which score on.
        folder: Where the archive goes, into a folder of its own.

    Raises:
        NothingToPackError: If no image that is kept or no format that suits them is chosen.
        ImageError: If an image that must be drawn is no longer there.
    """
    chosen = [image for key in order.images if (image := batch.images.get(key)) is not None]
    if not chosen:
        raise NothingToPackError("Choose at least one image that has been looked at.")
    formats = [key for key in order.formats if all(FORMATS[key].suits(image.detections) for image in chosen)]
    if not formats:
        raise NothingToPackError("Choose at least one format that this model's results suit.")
    path = folder / secrets.token_hex(16) / f"detections_{shortened(batch.spec.key, 200)}.zip"
    path.parent.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path, "w") as archive:
            export(_results(chosen, batch, order.threshold), formats, archive)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _results(images: list[BatchImage], batch: Batch, threshold: float) -> Iterator[ImageResult]:
    provenance = provenance_of(batch.spec, threshold=threshold)
    for image in images:
        found = image.detections
        # The browser compares with the same slack: its slider steps by 0.01 in binary fractions.
        seen = (found.scores >= threshold - 1e-6).nonzero()[0]
        # Colors come from the whole result, as in the browser: they stay when the threshold moves.
        colors = object_colors(found, "auto")
        shown = [colors[index] for index in seen]
        yield ImageResult(image.name, found[seen], provenance, partial(_image, image), shown, notes=image.notes)


def _image(image: BatchImage) -> Image.Image:
    try:
        return read_upload(image.path).image
    except ImageError as error:
        raise ImageError(f"{image.name}: {error}") from error


def _named(batches: BatchStore, sent: object) -> Batch | None:
    """The batch that a browser names, if there is one."""
    token = sent.get("batch") if isinstance(sent, Mapping) else None
    try:
        return batches.find(token) if isinstance(token, str) else None
    except BatchExpiredError:
        return None
