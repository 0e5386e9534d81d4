"""What the Detect tab answers when a user's model comes and goes; tests/browser looks at the page itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest

from detection_core.engine import Job, JobState, Result, Stage
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ASSETS, ModelSpec, list_models
from detection_core.models.detector import Timings
from detection_core.ui.detect.tab import build_detect_tab
from detection_core.ui.shared.session import ResultStore
from tests.factories import make_detections
from tests.ui.model_files import put_model

IMAGE = str(ASSETS / "examples" / "cameraman.jpg")


class FakeEngine:
    """Answers after `delay` seconds; the model's file is removed as soon as an image is accepted."""

    def __init__(self, file: Path, delay: float = 0) -> None:
        self.file = file
        self.delay = delay

    def submit(self, image: LoadedImage, spec: ModelSpec, *, visitor: str = "") -> Job:
        self.file.unlink()
        job = Job(spec, visitor)
        job.update(JobState(Stage.RUN))
        found = make_detections(3, image_size=(image.image.height, image.image.width), model=spec.key)
        Timer(self.delay, job.future.set_result, [Result(found, Timings(), spec)]).start()
        return job

    def cancel_visitor(self, visitor: str) -> None:
        pass

    def model_states(self) -> dict[str, str]:
        return {key: "on disk" if key == "pets" else "to download" for key in list_models()}


def handlers(engine: FakeEngine) -> dict[str, Callable[..., Any]]:
    """The tab's event handlers by name."""
    with gr.Blocks() as page:
        build_detect_tab(page, engine, ResultStore())
    return {function.name: function.fn for function in page.fns.values()}


def ask(engine: FakeEngine, handler: str, *inputs: str) -> list[Any]:
    return list(handlers(engine)[handler](*inputs, SimpleNamespace(session_hash="visitor")))


@pytest.fixture
def pets(models_folder: Path) -> Path:
    return put_model(models_folder / "pets.pt", default_threshold=0.3)


@pytest.mark.parametrize(("handler", "inputs"), [("look", (IMAGE, "pets")), ("press", (IMAGE, "pets")), ("choose", ("pets", IMAGE))])
def test_a_model_that_is_gone_is_told_and_stays_chosen(pets, handler, inputs):
    pets.unlink()
    ((message, name, picker, button, _),) = ask(FakeEngine(pets), handler, *inputs)
    assert message.error.title == "There is no model “pets” any more"
    assert "Put it back" in message.error.text
    assert message.objects is None
    assert name == gr.skip()
    assert picker["selected"] == "pets"
    assert button["value"] == "Detect"


def test_a_model_that_goes_while_it_looks_gives_its_result(pets):
    *waiting, (message, name, picker, *_) = ask(FakeEngine(pets, delay=0.4), "look", IMAGE, "pets")
    assert {update[0].status.text for update in waiting} == {"pets is looking"}
    assert (message.model.title, message.threshold, len(message.objects)) == ("pets", 0.3, 3)
    assert isinstance(name, str)
    assert "pets" not in {model["key"] for model in picker["models"]}


def test_the_button_says_what_is_downloaded(pets):
    ((_, _, picker, button, _),) = ask(FakeEngine(pets), "choose", "maskrcnn_resnet50_fpn_v2", IMAGE)
    assert button["value"] == "Download 186 MB and detect"
    assert picker["selected"] == "maskrcnn_resnet50_fpn_v2"
