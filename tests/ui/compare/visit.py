"""A visitor of the Compare tab, without a browser."""

from __future__ import annotations

import os
from types import SimpleNamespace

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from detection_core.detections import Detections
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import PERSON_MODEL, ModelSpec, list_models
from detection_core.models.detector import Timings
from detection_core.models.weights import WeightsError
from detection_core.ui.compare.tab import CompareTab
from detection_core.ui.compare.view import CompareMessage
from detection_core.ui.shared.examples import EXAMPLES
from detection_core.ui.shared.image_links import ImageLinks
from tests.factories import make_detections
from tests.ui.fake_engine import FakeEngine

IMAGE = str(EXAMPLES["Cameraman"])
SSD, FCOS, MASKS = "ssd300_vgg16", "fcos_resnet50_fpn", "maskrcnn_resnet50_fpn"
REQUEST = SimpleNamespace(session_hash="visitor", query_params={})


def find(image: LoadedImage, spec: ModelSpec) -> Detections:
    """Six objects, of which the person model misses the last; FCOS cannot be downloaded."""
    if spec.key == FCOS:
        raise WeightsError("It cannot be downloaded.")
    size = (image.image.height, image.image.width)
    found = make_detections(6, image_size=size, categories=("__background__", "person"), model=spec.key)
    return found[: 5 if spec.key == PERSON_MODEL else 6]


def make_engine(*missing: str) -> FakeEngine:
    def states() -> dict[str, str]:
        here = {key: "to download" if key in missing else "on disk" for key in list_models()}
        return here | {f"{key}@stock": state for key, state in here.items()}

    return FakeEngine(find, timings=Timings(network=0.1), states=states)


class Visit:
    """A visitor in the tab, who remembers what the page does: the comparison's name and the added files."""

    def __init__(self, engine: FakeEngine | None = None) -> None:
        self.engine = engine or make_engine()
        self.tab = CompareTab(self.engine, ImageLinks())
        with gr.Blocks():
            self.tab.layout()
        self.name = ""
        self.files: list[str] = []

    def add(self, file: str, *keys: str, image_id: str = "", skip_invalid: bool = False) -> CompareMessage:
        handler = self.tab.results_controls.add(skip_invalid=skip_invalid)
        updates = list(handler(file, image_id, IMAGE, list(keys), self.files, {}, REQUEST))
        message, *_, files, _, self.image_id_box, self.skip_button = updates[-1]
        if files != gr.skip():
            self.files = files
        return message

    def compare(self, *keys: str, path: str | None = IMAGE, downloads: bool = True) -> CompareMessage:
        handler = self.tab.press_compare if downloads else self.tab.compare
        updates = list(handler(path, list(keys), self.files, {}, REQUEST))
        message, self.name, *_ = updates[-1]
        return message
