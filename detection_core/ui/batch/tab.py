"""The Batch tab: many images or a folder and a model in, a gallery with counts and a ZIP of everything out."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from PIL import Image

from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.file_names import shortened
from detection_core.formats import FORMATS, ImageResult, Numbering, export, provenance_of
from detection_core.images.reading import ImageError
from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.model_key import VariantError, state_of
from detection_core.settings import read_setting
from detection_core.ui.batch.annotations import numbering_of
from detection_core.ui.batch.images import Response, detect_in_image
from detection_core.ui.batch.store import Batch, BatchImage, BatchStore
from detection_core.ui.batch.view import BatchMessage, BatchOrder, BatchView, batch_download, batch_error, batch_start
from detection_core.ui.components.client_values import items_of_type, mapping_of, text_of
from detection_core.ui.components.model_picker import ModelPicker, detect_label, picker_value
from detection_core.ui.shared.events import QUIET, server_function
from detection_core.ui.shared.examples import EXAMPLE_PATHS
from detection_core.ui.shared.limits import image_limit
from detection_core.ui.shared.progress import explain
from detection_core.ui.shared.served_files import serve_bytes
from detection_core.ui.shared.session import visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import object_colors


class BatchTab:
    """The Batch tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Args:
        engine: Where detection runs.

    Attributes:
        batches: Where results are kept.
        picker: The model picker, for the page to refresh.
        view: The gallery; its event `open` asks to see one image in full.

    Raises:
        SettingsError: If DETECTION_EXPLORER_MAX_BATCH is not a positive whole number.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._most: int = read_setting("max_batch")
        self.batches = BatchStore()

    def layout(self) -> None:
        """Adds the components to the page being built."""
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self.picker = ModelPicker(self._engine.model_states())
                self._detect_button = gr.Button("Detect", variant="primary")
            with gr.Column(scale=1, min_width=320):
                functions = map(server_function, (self.detect_image, self.give_up, self.forget))
                self.view = BatchView(*functions, most=self._most, largest=image_limit())

    def wire(self, page: gr.Blocks) -> None:
        """Connects the events.

        Args:
            page: The page; the batches of visitors who leave it are removed.
        """
        model = [self.picker, self._detect_button]
        # A choice that comes quickly after another, of a precision say, must not be lost.
        self.picker.select(self.show_model, self.picker, model, queue=False, trigger_mode="always_last", **QUIET)
        # Detection may have downloaded the model.
        self.view.finished(self.show_model, self.picker, model, queue=False, **QUIET)
        self._detect_button.click(self.begin, [self.picker, self.view], self.view, queue=False, **QUIET)
        self.view.begin(self.begin_if_here, [self.picker, self.view], self.view, queue=False, **QUIET)
        self.view.examples(self.examples, None, self.view, queue=False, **QUIET)
        self.view.download(self.download, None, self.view, concurrency_limit=2, **QUIET)
        page.unload(self.leave)

    async def detect_image(self, sent: Any) -> Response:
        """Server function: detects objects in one image."""
        return await detect_in_image(sent, self._engine, self.batches, self._most)

    async def give_up(self, sent: Any) -> None:
        """Server function: cancels detection in a batch."""
        if (batch := self.batches.get(mapping_of(sent).get("batch"))) is not None:
            batch.cancel()

    async def forget(self, sent: Any) -> None:
        """Server function: removes images from a batch."""
        if (batch := self.batches.get(mapping_of(sent).get("batch"))) is not None:
            self.batches.forget(batch, items_of_type(sent.get("images"), str))

    def show_model(self, key: str) -> tuple[dict[str, Any], Any]:
        """The picker, and the button, which says what pressing it entails."""
        states = self._engine.model_states()
        return picker_value(key, states, self._engine.run_seconds(first=True)), gr.update(value=detect_label(key, states))

    def begin(self, key: str, token: str, request: gr.Request) -> BatchMessage:
        """Lets the browser send images for the model; the batch of this token continues if it has the same model."""
        try:
            batch = self.batches.begin(visitor_of(request, "batch"), get_model_spec(key), token)
        except (UnknownModelError, VariantError) as error:
            return BatchMessage(error=explain(error, key))
        return batch_start(secrets.token_hex(8), batch.token, batch.spec)

    def begin_if_here(self, key: str, token: str, request: gr.Request) -> BatchMessage:
        """Begins when images are added, unless the model must be downloaded: that waits for the button."""
        if state_of(key, self._engine.model_states()) == "to download":
            return BatchMessage(notes=["This model must be downloaded first: press the button under it, or choose another one."])
        return self.begin(key, token, request)

    def examples(self) -> BatchMessage:
        """The example images."""
        served = {path.name: serve_bytes(path.read_bytes(), path.name, self.view) for path in EXAMPLE_PATHS}
        return BatchMessage(examples=[FileData(path=path, orig_name=name) for name, path in served.items()])

    def download(self, event: gr.EventData) -> BatchMessage:
        """Writes everything chosen into one archive."""
        order = BatchOrder.from_client(event._data)
        notes: list[str] = []
        try:
            path = pack(self.batches.find(order.batch), order, Path(self.view.GRADIO_CACHE), notes.append)
        except UserError as error:
            return batch_error("The files cannot be written", str(error))
        except OSError as error:
            return batch_error("The files cannot be written", f"The server reports: {error.strerror}.")
        self.view.temp_files.add(str(path))
        return batch_download(str(path), path.name, notes)

    def image_to_open(self, data: object) -> tuple[Path, str] | None:
        """File and model's key of the image that an `open` event is about, or None if it is no longer kept."""
        batch = self.batches.get(mapping_of(data).get("batch"))
        image = batch.images.get(text_of(mapping_of(data).get("id"))) if batch is not None else None
        return (image.path, batch.spec.key) if batch is not None and image is not None else None

    def leave(self, request: gr.Request) -> None:
        """Removes what a visitor who has gone leaves behind."""
        self.batches.leave(visitor_of(request, "batch"))


class NothingToPackError(UserError):
    """There is nothing to export; the message is for people."""


def pack(batch: Batch, order: BatchOrder, folder: Path, on_note: Callable[[str], object] = lambda note: None) -> Path:
    """Writes the chosen images' results into a ZIP archive, with one image in memory at a time.

    Args:
        batch: The images.
        order: Which of them, in which formats, from which score on.
        folder: Where the archive goes, into a folder of its own.
        on_note: Called with sentences for the visitor: which ids images and classes have, and what is left out.

    Raises:
        NothingToPackError: If no image that is kept or no format that suits them is chosen.
        ImageError: If an image that must be drawn is no longer there.
        DataError: If the annotation file cannot be used.
    """
    chosen = [image for key in order.images if (image := batch.images.get(key)) is not None]
    if not chosen:
        raise NothingToPackError("Choose at least one image that has a result.")
    formats = [key for key in order.formats if all(FORMATS[key].suits(image.detections) for image in chosen)]
    if not formats:
        raise NothingToPackError("Choose at least one format that can hold this model's results.")
    numbering = numbering_of(order, [image.name for image in chosen], batch.spec)
    if any(FORMATS[key].numbered for key in formats):
        for note in (numbering.sentence(batch.spec.categories, batch.spec.category_ids), *numbering.notes):
            on_note(note)
    path = folder / secrets.token_hex(16) / f"detections_{shortened(batch.spec.key, 200)}.zip"
    path.parent.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path, "w") as archive:
            export(_results(chosen, batch, order.threshold, numbering), formats, archive, numbering=numbering, on_note=on_note)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _results(images: list[BatchImage], batch: Batch, threshold: float, numbering: Numbering) -> Iterator[ImageResult]:
    provenance = provenance_of(batch.spec, threshold=threshold)
    for image, image_id in zip(images, numbering.image_ids, strict=True):
        found = image.detections
        # The browser compares with the same slack: its slider steps by 0.01 in binary fractions.
        seen = (found.scores >= threshold - 1e-6).nonzero()[0]
        # Colors come from the whole result, as in the browser: they stay when the threshold moves.
        colors = object_colors(found, "auto")
        shown = [colors[index] for index in seen]
        yield ImageResult(image.name, found[seen], provenance, partial(_image, image), shown, notes=image.notes, image_id=image_id)


def _image(image: BatchImage) -> Image.Image:
    try:
        return read_upload(image.path).image
    except ImageError as error:
        raise ImageError(f"{image.name}: {error}") from error
