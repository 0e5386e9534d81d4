"""The Detect tab: an image and a model in, an interactive result out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES, clicked_example
from detection_core.ui.shared.progress import explain, milliseconds, status_of
from detection_core.ui.shared.served_files import serve_bytes, shown_file
from detection_core.ui.shared.session import KeptResult, ResultStore, Turns, visitor_of
from detection_core.ui.shared.uploads import read_upload

_POLL_SECONDS = 0.5
# Gradio asks cameras for 1920×1440, which many serve slowly.
_CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}

Update = tuple[Any, Any, Any, Any, Any]
# Gradio takes a generator that yields nothing for a fault.
_NOTHING: Update = (gr.skip(),) * 5


@dataclass(frozen=True)
class DetectTab:
    """What the page needs of the tab.

    Attributes:
        picker: The model picker, to be refreshed.
        inputs: Image and picker; whoever has put something into them adds `look`.
        look: Makes an event of the page be followed by a look at the image.
    """

    picker: ModelPicker
    inputs: list[Component]
    look: Callable[[Dependency], Any]


def build_detect_tab(page: gr.Blocks, engine: Engine, results: ResultStore[KeptResult]) -> DetectTab:
    """Adds the tab's content to the page being built.

    Args:
        page: The page, whose opening shows the first example.
        engine: Where detection runs.
        results: Where results are kept for drawing.
    """
    turns = Turns()
    shown = gr.State("")
    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            image = SafeImage(
                str(EXAMPLE_PATHS[0]),
                label="Image",
                sources=["upload", "clipboard", "webcam"],
                height=220,
                buttons=[],
                webcam_options=gr.WebcamOptions(constraints=_CAMERA),
            )
            examples = ExampleStrip(EXAMPLES)
            picker = ModelPicker(engine.model_states())
            detect = gr.Button("Detect", variant="primary")
            cancel = gr.Button("Cancel", visible=False)
        with gr.Column(scale=1, min_width=320):
            view = DetectionView()

    def model_parts(key: str) -> tuple[Any, Any]:
        """The picker, and the button that says what pressing it entails."""
        states = engine.model_states()
        return picker_value(key, states), gr.update(value=detect_label(key, states))

    def look(path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """Follows one image through the engine; whatever the visitor does next ends it."""
        visitor = visitor_of(request, "detect")
        turn = turns.begin(visitor)
        engine.cancel_visitor(visitor)
        if path is None:
            yield ViewMessage(), gr.skip(), *model_parts(key), _cancel(False)
            return
        started = time.perf_counter()
        try:
            loaded = read_upload(path)
            decoded = time.perf_counter() - started
            if not turns.is_current(visitor, turn):
                yield _NOTHING
                return
            # Looked up once: a user's file may be gone or replaced at any time.
            spec = get_model_spec(key)
            job = engine.submit(loaded, spec, visitor=visitor)
            image = shown_file(path, loaded, view)
            for update in _follow(job, spec.title, image, loaded):
                if not turns.is_current(visitor, turn):
                    job.cancel()
                    break
                yield update
            result = job.result()
        except Cancelled:
            yield _NOTHING
            return
        except UserError as error:
            failure = ViewMessage(error=explain(error, key)), gr.skip(), *model_parts(key), _cancel(False)
            yield failure if turns.is_current(visitor, turn) else _NOTHING
            return
        message = _result_message(result, spec, decoded, image, loaded)
        if not turns.is_current(visitor, turn):
            yield _NOTHING
            return
        name = results.put(KeptResult(Path(path), result.detections, provenance_of(result.spec)))
        yield message, name, *model_parts(key), _cancel(False)

    def press(path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """What the button does: it also answers when there is no image."""
        if path is None:
            yield error_payload("No image yet", "Drop, paste or snap an image, or choose an example."), *_NOTHING[1:]
            return
        yield from look(path, key, request)

    def choose(key: str, path: str | None, request: gr.Request) -> Iterator[Update]:
        """Looks at once with a model that is here; one that must be downloaded waits for the button."""
        missing = engine.model_states().get(key) == "to download"
        yield from look(None if missing else path, key, request)

    def stop(request: gr.Request) -> tuple[ViewMessage, Any]:
        """Gives up what the visitor waits for; the view keeps what it shows."""
        turns.begin(visitor_of(request, "detect"))
        engine.cancel_visitor(visitor_of(request, "detect"))
        return ViewMessage(notes=["Cancelled. What has arrived of a download is kept."]), _cancel(False)

    def show_example(event: gr.EventData) -> str:
        """Puts the clicked example where visitors' own images go."""
        return clicked_example(event._data)

    def download(settings: ViewSettings, name: str, event: gr.EventData) -> ViewMessage:
        """Writes the result in the chosen format, as the visitor sees it."""
        asked = event._data if isinstance(event._data, dict) else {}
        try:
            data, file_name = result_file(results.get(name), settings, str(asked.get("format", "png")))
        except UserError as error:
            return error_payload("The result cannot be saved", str(error))
        return download_payload(serve_bytes(data, file_name, view), file_name)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [view, shown, picker, detect, cancel]
    many: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple"}
    page.load(look, [image, picker], outputs, concurrency_limit=None, **quiet)
    # Not `change`: the page's opening fires that too.
    gr.on([image.input, image.clear], look, [image, picker], outputs, **many, **quiet)
    examples.select(show_example, None, image, queue=False, **quiet).then(look, [image, picker], outputs, **many, **quiet)
    detect.click(press, [image, picker], outputs, **many, **quiet)
    picker.select(choose, [picker, image], outputs, **many, **quiet)
    cancel.click(stop, None, [view, cancel], queue=False, **quiet)
    view.download(download, [view, shown], view, concurrency_limit=4, **quiet)
    return DetectTab(picker, [image, picker], lambda event: event.then(look, [image, picker], outputs, **many, **quiet))


def _follow(job: Job, title: str, image: str, loaded: LoadedImage) -> Iterator[Update]:
    """Tells how a job gets on until it is done; a quick one goes by in silence."""
    seen = JobState(Stage.LOAD)
    state = job.wait_for_change(seen, 0.15)
    if state.stage is Stage.DONE:
        return
    height, width = loaded.image.height, loaded.image.width
    yield image_payload(image, (height, width), status_of(state, title)), *_NOTHING[1:4], _cancel(True)
    while not job.future.done():
        if state != seen:
            yield ViewMessage(status=status_of(state, title)), *_NOTHING[1:]
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
    )


def _cancel(visible: bool) -> Any:
    return gr.update(visible=visible)
