from __future__ import annotations

from functools import partial

import gradio as gr
import pytest
from gradio.data_classes import ImageData

from detection_core.ui.components.model_picker import ModelPicker
from detection_core.ui.components.model_slots import ModelSlots
from detection_core.ui.components.safe_image import SafeImage
from detection_core.ui.detect.view import DetectionView
from tests.ui.asynchronous import finish


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, None),
        (ImageData(path="/cache/a.tiff", orig_name="a.tiff"), "/cache/a.tiff"),
        (ImageData(path="/cache/not an image.svg"), "/cache/not an image.svg"),
        (ImageData(path="/cache/a.png", url="data:image/png;base64,AAAA"), "/cache/a.png"),
    ],
    ids=["nothing", "file", "any file", "file and data address"],
)
def test_hands_on_files_and_nothing_else(payload, path):
    assert SafeImage().preprocess(payload) == path


@pytest.mark.parametrize("payload", [ImageData(), ImageData(url="data:image/png;base64,AAAA")], ids=["no file", "data address"])
def test_says_how_an_image_is_sent(payload):
    with pytest.raises(gr.Error, match="Send the portrait as an uploaded file"):
        SafeImage(label="Portrait").preprocess(payload)


@pytest.mark.parametrize("component", [SafeImage, DetectionView, partial(ModelSlots, [], {}), partial(ModelPicker, {})])
@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.png", "https://example.org/a.png"])
def test_the_server_fetches_no_address(component, address):
    with pytest.raises(gr.Error, match="Send the image as a file"):
        finish(component().async_move_resource_to_block_cache(address))


def test_files_are_kept(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    kept = finish(SafeImage().async_move_resource_to_block_cache(path))
    assert kept is not None
    assert kept.endswith("a.png")


def test_the_browser_gets_the_settings_of_an_image():
    config = SafeImage(sources=["upload"], height=100).get_config()
    assert config["sources"] == ["upload"]
    assert config["height"] == 100
    assert config["type"] == "filepath"
