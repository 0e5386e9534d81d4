"""The Detect tab: an image and a model in, an interactive result out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import Component
from gradio.events import Dependency

from detection_core.engine import Cancelled, Engine, Job, JobState, Result, Stage
from detection_core.errors import UserError
from detection_core.formats import provenance_of
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.model_key import state_of
from detection_core.slicing import Tile, tile_grid
from detection_core.ui.components.client_values import mapping_of, text_of
from detection_core.ui.components.example_strip import ExampleStrip
from detection_core.ui.components.model_picker import ModelPicker, detect_label, picker_value
from detection_core.ui.components.safe_image import SafeImage
from detection_core.ui.detect.download import result_file
from detection_core.ui.detect.view import (
    DetectionView,
    ViewMessage,
    ViewSettings,
    download_payload,
    error_payload,
    image_payload,
    view_payload,
)
from detection_core.ui.explain.mode import ExplainMode
from detection_core.ui.shared.events import CONCURRENT, QUIET
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES, clicked_example
from detection_core.ui.shared.progress import CANCELLED, explain, milliseconds, status_of
from detection_core.ui.shared.served_files import serve_bytes, shown_file
from detection_core.ui.shared.session import KeptResult, ResultExpiredError, Turns, visitor_of
from detection_core.ui.shared.uploads import read_upload
from detection_core.ui.shared.visitor_store import VisitorStore

# Results of all visitors together, each of up to 0.4 MB.
_KEPT = 256
_POLL_SECONDS = 0.5
# A job that is done sooner needs no progress.
_FIRST_POLL_SECONDS = 0.15
# Gradio asks cameras for 1920×1440, which many serve slowly.
_CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}
# On a phone the image lies below the button; a kept result changes nothing there that would show it.
_SHOW_IMAGE = "() => document.querySelector('.dv-frame').scrollIntoView({ block: 'nearest' })"

# View, name of the kept result, picker, button, cancel button.
Update = tuple[Any, Any, Any, Any, Any]
# Gradio takes a generator that yields nothing for an error.
_NOTHING: Update = (gr.skip(),) * 5


class DetectTab:
    """The Detect tab: `layout` makes its components, `wire` connects them with the other methods, which handle their events.

    Args:
        engine: Where detection runs.

    Attributes:
        picker: The model picker, for the page to refresh.
        results: Where results are kept.
        explain_mode: The mode Explain.
        inputs: Image and picker; events that write to them end with `detect_after`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = Turns()
        self.results: VisitorStore[KeptResult] = VisitorStore(ResultExpiredError, _KEPT)
        self.explain_mode = ExplainMode(engine)

    def layout(self) -> None:
        """Adds the components to the page being built."""
        self._result_name = gr.State("")
        with gr.Row(equal_height=False, elem_classes="workbench"):
            with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
                self._image = SafeImage(
                    str(EXAMPLE_PATHS[0]),
                    label="Image",
                    sources=["upload", "clipboard", "webcam"],
                    height=220,
                    buttons=[],
                    webcam_options=gr.WebcamOptions(constraints=_CAMERA),
                )
                self._examples = ExampleStrip(EXAMPLES)
                self.picker = ModelPicker(self._engine.model_states())
                self._detect_button = gr.Button("Detect", variant="primary")
                self._cancel_button = gr.Button("Cancel", visible=False)
            with gr.Column(scale=1, min_width=320):
                self._view = DetectionView(explain_functions=self.explain_mode.server_functions())
        self.inputs: list[Component] = [self._image, self.picker]
        self._outputs = [self._view, self._result_name, self.picker, self._detect_button, self._cancel_button]

    def wire(self, page: gr.Blocks) -> None:
        """Connects the events.

        Args:
            page: The page, which opens with a result for the first example.
        """
        page.load(self.detect, self.inputs, self._outputs, concurrency_limit=None, **QUIET)
        # Not `change`: opening the page fires that, too.
        gr.on([self._image.input, self._image.clear], self.detect, self.inputs, self._outputs, **CONCURRENT, **QUIET)
        self.detect_after(self._examples.select(self.choose_example, None, self._image, queue=False, **QUIET))
        self._detect_button.click(self.press_detect, self.inputs, self._outputs, **CONCURRENT, **QUIET)
        self._detect_button.click(None, js=_SHOW_IMAGE)
        self.picker.select(self.choose_model, [self.picker, self._image], self._outputs, **CONCURRENT, **QUIET)
        self._cancel_button.click(self.cancel, None, [self._view, self._cancel_button], queue=False, **QUIET)
        explained = [self._view, self._cancel_button]
        self._view.explain(self.explain, self._result_name, explained, **CONCURRENT, **QUIET)
        page.unload(self.leave)
        self._view.download(self.download, [self._view, self._result_name], self._view, concurrency_limit=4, **QUIET)

    def detect_after(self, event: Dependency) -> None:
        """Detects objects after an event that has written to `inputs`."""
        event.then(self.detect, self.inputs, self._outputs, **CONCURRENT, **QUIET)

    def detect(self, path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """Detects objects in an image, reporting progress; the visitor's next request ends it."""
        visitor = visitor_of(request, "detect")
        turn = self._turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        if path is None:
            yield ViewMessage(), gr.skip(), *self._model_parts(key), _visible(False)
            return
        started = time.perf_counter()
        try:
            loaded = read_upload(path)
            decoded = time.perf_counter() - started
            if not self._turns.is_current(visitor, turn):
                yield _NOTHING
                return
            # Read once: a user's file may be gone or replaced at any time.
            spec = get_model_spec(key)
            job = self._engine.submit(loaded, spec, visitor=visitor)
            image = shown_file(path, loaded, self._view)
            for update in _progress(job, spec, image, loaded):
                if not self._turns.is_current(visitor, turn):
                    job.cancel()
                    break
                yield update
            result = job.result()
        except Cancelled:
            yield _NOTHING
            return
        except UserError as error:
            failure = ViewMessage(error=explain(error, key)), gr.skip(), *self._model_parts(key), _visible(False)
            yield failure if self._turns.is_current(visitor, turn) else _NOTHING
            return
        message = _result_message(result, spec, decoded, image, loaded)
        if not self._turns.is_current(visitor, turn):
            yield _NOTHING
            return
        name = self.results.put(KeptResult(Path(path), result.detections, provenance_of(result.spec)))
        yield message, name, *self._model_parts(key), _visible(False)

    def press_detect(self, path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """Detects objects, or says that there is no image."""
        if path is None:
            yield error_payload("No image yet", "Drop, paste or snap an image, or choose an example."), *_NOTHING[1:]
            return
        yield from self.detect(path, key, request)

    def choose_model(self, key: str, path: str | None, request: gr.Request) -> Iterator[Update]:
        """Detects objects at once, unless the model must be downloaded: that waits for the button."""
        missing = state_of(key, self._engine.model_states()) == "to download"
        yield from self.detect(None if missing else path, key, request)

    def cancel(self, request: gr.Request) -> tuple[ViewMessage, Any]:
        """Cancels the visitor's detection; the view keeps what it shows."""
        self._turns.begin(visitor_of(request, "detect"))
        self._engine.cancel_visitor(visitor_of(request, "detect"))
        return ViewMessage(notes=[CANCELLED]), _visible(False)

    def explain(self, name: str, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """Records what happens inside the model on the image, and opens the mode Explain; the visitor's next request ends it."""
        visitor = visitor_of(request, "detect")
        turn = self._turns.begin(visitor)
        self._engine.cancel_visitor(visitor)
        try:
            for message in self.explain_mode.begin(self.results.find(name), visitor, lambda: self._turns.is_current(visitor, turn)):
                yield message, _visible(message.explain is None)
        except Cancelled:
            yield gr.skip(), gr.skip()
        except UserError as error:
            yield error_payload("This result cannot be explained", str(error)), _visible(False)

    def leave(self, request: gr.Request) -> None:
        """Forgets what is kept for the questions of a visitor who has gone."""
        self.explain_mode.leave(visitor_of(request, "detect"))

    def choose_example(self, event: gr.EventData) -> str:
        """The clicked example, for the image input."""
        return clicked_example(event._data)

    def download(self, settings: ViewSettings, name: str, event: gr.EventData) -> ViewMessage:
        """Writes the result in the chosen format, as the visitor sees it."""
        wanted = text_of(mapping_of(event._data).get("format", "png"))
        try:
            data, file_name = result_file(self.results.find(name), settings, wanted)
        except UserError as error:
            return error_payload("The result cannot be saved", str(error))
        return download_payload(serve_bytes(data, file_name, self._view), file_name)

    def _model_parts(self, key: str) -> tuple[Any, Any]:
        """The picker, and the button, which says what pressing it entails."""
        states = self._engine.model_states()
        return picker_value(key, states, self._engine.run_seconds(first=True)), gr.update(value=detect_label(key, states))


def _progress(job: Job, spec: ModelSpec, image: str, loaded: LoadedImage) -> Iterator[Update]:
    """Reports a job's progress until it is done; a quick job is not reported at all."""
    seen = JobState(Stage.LOAD)
    state = job.wait_for_change(seen, _FIRST_POLL_SECONDS)
    if state.stage is Stage.DONE:
        return
    size = (loaded.image.height, loaded.image.width)
    yield image_payload(image, size, status_of(state, spec.title), _tiles(loaded, spec)), *_NOTHING[1:4], _visible(True)
    while not job.future.done():
        if state != seen:
            yield ViewMessage(status=status_of(state, spec.title)), *_NOTHING[1:]
        seen = state
        state = job.wait_for_change(seen, _POLL_SECONDS)


def _result_message(result: Result, spec: ModelSpec, decoded: float, image: str, loaded: LoadedImage) -> ViewMessage:
    notes = list(loaded.notes)
    if result.first_run:
        notes.append("This was the model's first image since it was loaded; the next ones are faster.")
    return view_payload(
        result.detections,
        image,
        title=spec.title,
        threshold=spec.default_threshold,
        floor=spec.min_score,
        timings=milliseconds(result, decoded),
        notes=notes,
        tiles=_tiles(loaded, spec),
    )


def _tiles(loaded: LoadedImage, spec: ModelSpec) -> list[Tile]:
    """The grid of a model with slices."""
    return tile_grid((loaded.image.height, loaded.image.width), spec.slices) if spec.slices else []


def _visible(visible: bool) -> Any:
    return gr.update(visible=visible)
