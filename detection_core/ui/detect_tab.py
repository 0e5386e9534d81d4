"""The Detect tab: a picture and a model in, an interactive result out."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache

from detection_core.catalog import ASSETS, EMBEDDED_MODEL, ModelSpec, UnknownModelError, get_spec
from detection_core.engine import Cancelled, Engine, EngineError, Job, JobState, Result, Stage
from detection_core.images import ImageError, LoadedImage, encode_jpeg, read_image
from detection_core.ui.components.detection_view import (
    DetectionView,
    ViewMessage,
    ViewSettings,
    download_payload,
    error_payload,
    picture_payload,
    status_payload,
    view_payload,
)
from detection_core.ui.components.example_strip import ExampleStrip
from detection_core.ui.components.model_picker import ModelPicker, picker_value
from detection_core.ui.components.safe_image import SafeImage
from detection_core.ui.drawing import draw
from detection_core.ui.session import KeptResult, ResultExpiredError, ResultStore, Turns
from detection_core.ui.uploads import read_upload
from detection_core.weights import WeightsError

EXAMPLES = {
    "Astronaut": ASSETS / "examples" / "astronaut.jpg",
    "Grace Hopper": ASSETS / "examples" / "grace_hopper.jpg",
    "Cameraman": ASSETS / "examples" / "cameraman.jpg",
    "Cat": ASSETS / "examples" / "chelsea.jpg",
    "Coffee": ASSETS / "examples" / "coffee.jpg",
    "Rocket": ASSETS / "examples" / "rocket.jpg",
}
_PATHS = list(EXAMPLES.values())
_POLL_SECONDS = 0.5
# Gradio asks cameras for 1920×1440, which many serve slowly.
_CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}

Update = tuple[Any, Any, Any, Any, Any]
# Gradio takes a generator that yields nothing for a fault.
_NOTHING: Update = (gr.skip(),) * 5


def warm_up(engine: Engine) -> None:
    """Looks at the first example in the background, so that its result is ready when the page is.

    A blank picture goes before it: the first pass through a network is slow, and its timing would mislead.
    """
    engine.submit(read_image(np.zeros((480, 640, 3), np.uint8)), EMBEDDED_MODEL)
    engine.submit(read_image(_PATHS[0]), EMBEDDED_MODEL)


def build_detect_tab(page: gr.Blocks, engine: Engine, results: ResultStore) -> ModelPicker:
    """Adds the tab's content to the page being built.

    Args:
        page: The page, whose opening shows the first example.
        engine: Where detection runs.
        results: Where results are kept for drawing.

    Returns:
        The model picker, so that the page can refresh it.
    """
    turns = Turns()
    shown = gr.State("")
    with gr.Row(equal_height=False, elem_classes="workbench"):
        with gr.Column(scale=0, min_width=320, elem_classes="inputs"):
            image = SafeImage(
                str(_PATHS[0]),
                label="Picture",
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
        value = picker_value(key, engine.model_states())
        missing = [model for model in value["models"] if model["key"] == key and model["state"] == "to download"]
        return value, gr.update(value=f"Download {missing[0]['size']} and detect" if missing else "Detect")

    def look(path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """Follows one picture through the engine; whatever the visitor does next ends it."""
        visitor = request.session_hash or ""
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
            # Looked up once: a user's file may be gone at any time.
            spec = get_spec(key)
            job = engine.submit(loaded, key, visitor=visitor)
            picture = _shown_file(path, loaded, view)
            for update in _follow(job, spec.title, picture, loaded):
                if not turns.is_current(visitor, turn):
                    job.cancel()
                    break
                yield update
            result = job.result()
        except Cancelled:
            yield _NOTHING
            return
        except (UnknownModelError, ImageError, WeightsError, EngineError) as error:
            failure = _explain(error, key), gr.skip(), *model_parts(key), _cancel(False)
            yield failure if turns.is_current(visitor, turn) else _NOTHING
            return
        message = _result_message(result, spec, decoded, picture, loaded)
        if not turns.is_current(visitor, turn):
            yield _NOTHING
            return
        name = results.put(KeptResult(Path(path), result.detections))
        yield message, name, *model_parts(key), _cancel(False)

    def press(path: str | None, key: str, request: gr.Request) -> Iterator[Update]:
        """What the button does: it also answers when there is no picture."""
        if path is None:
            yield error_payload("No picture yet", "Drop, paste or snap a picture, or choose an example."), *_NOTHING[1:]
            return
        yield from look(path, key, request)

    def choose(key: str, path: str | None, request: gr.Request) -> Iterator[Update]:
        """Looks at once with a model that is here; one that must be downloaded waits for the button."""
        missing = engine.model_states().get(key) == "to download"
        yield from look(None if missing else path, key, request)

    def stop(request: gr.Request) -> tuple[ViewMessage, Any]:
        """Gives up what the visitor waits for; the view keeps what it shows."""
        turns.begin(request.session_hash or "")
        engine.cancel_visitor(request.session_hash or "")
        return ViewMessage(notes=["Cancelled. What has arrived of a download is kept."]), _cancel(False)

    def show_example(event: gr.EventData) -> str:
        """Puts the clicked example where visitors' own pictures go."""
        index = event._data.get("index") if isinstance(event._data, dict) else None
        return str(_PATHS[index] if isinstance(index, int) and 0 <= index < len(_PATHS) else _PATHS[0])

    def download(settings: ViewSettings, name: str) -> ViewMessage:
        """Draws the result at full resolution, as the visitor sees it."""
        try:
            kept = results.get(name)
            picture = draw(kept, settings)
        except (ResultExpiredError, ImageError) as error:
            return error_payload("The picture cannot be drawn", str(error))
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=3)
        file_name = f"{kept.image_path.stem}_{kept.detections.model}.png"
        return download_payload(_cached(file.getvalue(), file_name, view), file_name)

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [view, shown, picker, detect, cancel]
    many: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple"}
    page.load(look, [image, picker], outputs, concurrency_limit=None, **quiet)
    # Not `change`: the page's opening fires that too.
    gr.on([image.input, image.clear], look, [image, picker], outputs, **many, **quiet)
    chosen = examples.select(show_example, None, image, queue=False, **quiet)
    chosen.then(look, [image, picker], outputs, **many, **quiet)
    detect.click(press, [image, picker], outputs, **many, **quiet)
    picker.select(choose, [picker, image], outputs, **many, **quiet)
    cancel.click(stop, None, [view, cancel], queue=False, **quiet)
    view.download(download, [view, shown], view, concurrency_limit=4, **quiet)
    return picker


def _follow(job: Job, title: str, picture: str, loaded: LoadedImage) -> Iterator[Update]:
    """Tells how a job gets on until it is done; a quick one goes by in silence."""
    seen = JobState(Stage.LOAD)
    state = job.wait_for_change(seen, 0.15)
    if state.stage is Stage.DONE:
        return
    height, width = loaded.image.height, loaded.image.width
    yield picture_payload(picture, (height, width), _status(state, title).status), *_NOTHING[1:4], _cancel(True)
    while not job.future.done():
        if state != seen:
            yield _status(state, title), *_NOTHING[1:]
        seen = state
        state = job.wait_for_change(seen, _POLL_SECONDS)


def _status(state: JobState, title: str) -> ViewMessage:
    match state.stage:
        case Stage.DOWNLOAD:
            size = f" of {state.total / 1e6:.0f} MB" if state.total else ""
            return status_payload("download", f"Downloading {title}: {state.done / 1e6:.0f}{size}", done=state.done, total=state.total)
        case Stage.QUEUE if state.done:
            return status_payload("queue", f"{state.done} ahead of you")
        case Stage.QUEUE:
            return status_payload("queue", "Next in line")
        case Stage.RUN:
            return status_payload("run", f"{title} is looking")
        case _:
            return status_payload("load", f"Loading {title}")


def _result_message(result: Result, spec: ModelSpec, decoded: float, picture: str, loaded: LoadedImage) -> ViewMessage:
    notes = list(loaded.notes)
    if result.first_run:
        notes.append("This was the model's first picture since it was loaded; the next ones are faster.")
    return view_payload(
        result.detections,
        picture,
        title=spec.title,
        threshold=spec.suggested_threshold,
        floor=spec.floor_score,
        timings=_milliseconds(result, decoded),
        notes=notes,
    )


def _milliseconds(result: Result, decoded: float) -> dict[str, float]:
    """The steps that took time, in words."""
    timings = result.timings
    network = "network (kept result)" if result.kept else "network"
    named = {"decode": decoded, "load": timings.load, "wait": timings.wait, network: timings.network, "post": timings.post}
    return {name: seconds * 1000 for name, seconds in named.items() if name == network or seconds >= 0.0005}


def _shown_file(path: str, loaded: LoadedImage, view: DetectionView) -> str:
    """The file that the browser shows: the uploaded one, or a JPEG where a browser would show it otherwise than we see it."""
    return path if loaded.web_safe else _cached(encode_jpeg(loaded.image), f"{Path(path).stem}.jpg", view)


def _cached(data: bytes, file_name: str, view: DetectionView) -> str:
    """Writes a file where Gradio serves files from, and lets it be cleaned up with the view's others."""
    path = str(save_bytes_to_cache(data, file_name, cache_dir=view.GRADIO_CACHE))
    view.temp_files.add(path)
    return path


def _explain(error: Exception, key: str) -> ViewMessage:
    match error:
        case UnknownModelError():
            return error_payload(f"There is no model “{key}” any more", "Its file has been removed. Put it back, or choose another model.")
        case ImageError():
            return error_payload("This picture cannot be used", str(error))
        case WeightsError():
            return error_payload("The model is not available", str(error))
        case _:
            return error_payload("Detection failed", str(error))


def _cancel(visible: bool) -> Any:
    return gr.update(visible=visible)
