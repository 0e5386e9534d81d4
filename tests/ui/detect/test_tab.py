"""The Detect tab's handlers when a user's model comes and goes; tests/browser runs the page itself."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest

from detection_core.detections import Detections
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ASSETS, COCO_MODEL, ModelSpec, list_models
from detection_core.slicing import tile_grid
from detection_core.ui.detect.tab import DetectTab
from tests.ui.fake_engine import FakeEngine, three_objects
from tests.ui.model_files import put_model

IMAGE = str(ASSETS / "examples" / "cameraman.jpg")
REQUEST = SimpleNamespace(session_hash="visitor")


def make_tab(file: Path, delay: float = 0) -> DetectTab:
    """The tab; the model's file is removed as soon as an image is accepted."""

    def find(image: LoadedImage, spec: ModelSpec) -> Detections:
        found = three_objects(image, spec)
        file.unlink()
        return found

    def states() -> dict[str, str]:
        return {key: "on disk" if key == "pets" else "to download" for key in list_models()}

    tab = DetectTab(FakeEngine(find, delay=delay, states=states))
    with gr.Blocks():
        tab.layout()
    return tab


def call(tab: DetectTab, handler: str, *inputs: Any) -> list[Any]:
    return list(getattr(tab, handler)(*inputs, REQUEST))


@pytest.fixture
def pets(models_folder: Path) -> Path:
    return put_model(models_folder / "pets.pt", default_threshold=0.3)


@pytest.mark.parametrize(
    ("handler", "inputs"), [("detect", (IMAGE, "pets")), ("press_detect", (IMAGE, "pets")), ("choose_model", ("pets", IMAGE))]
)
def test_a_missing_model_is_an_error_and_stays_chosen(pets, handler, inputs):
    pets.unlink()
    ((message, name, picker, button, _),) = call(make_tab(pets), handler, *inputs)
    assert message.error.title == "There is no model “pets” here"
    assert "Put it here" in message.error.text
    assert message.objects is None
    assert name == gr.skip()
    assert picker["selected"] == "pets"
    assert button["value"] == "Detect"


def test_a_model_that_is_removed_while_it_runs_gives_its_result(pets):
    *waiting, (message, name, picker, *_) = make_tab(pets, delay=0.4).detect(IMAGE, "pets", REQUEST)
    assert {update[0].status.text for update in waiting} == {"pets is running"}
    assert (message.model.title, message.threshold, len(message.objects)) == ("pets", 0.3, 3)
    assert isinstance(name, str)
    assert "pets" not in {model["key"] for model in picker["models"]}


def test_a_model_with_slices_sends_their_grid(pets):
    tab = DetectTab(FakeEngine())
    with gr.Blocks():
        tab.layout()
    *_, (message, *_) = tab.detect(IMAGE, f"{COCO_MODEL}@slices320", REQUEST)
    assert message.tiles == tile_grid((message.height, message.width), 320)
    assert len(message.tiles) == 4
    *_, (message, *_) = tab.detect(IMAGE, COCO_MODEL, REQUEST)
    assert message.tiles == []


def test_the_button_says_what_is_downloaded(pets):
    ((_, _, picker, button, _),) = make_tab(pets).choose_model("maskrcnn_resnet50_fpn_v2", IMAGE, REQUEST)
    assert button["value"] == "Download 186 MB and detect"
    assert picker["selected"] == "maskrcnn_resnet50_fpn_v2"
