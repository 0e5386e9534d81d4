"""The tabs of the page with a visitor who has a batch, a camera and a video."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import numpy as np

from detection_core.images.reading import load_image
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.batch.store import BatchImage
from detection_core.ui.batch.tab import BatchTab
from detection_core.ui.compare.tab import CompareTab
from detection_core.ui.live.streams import LiveStreams
from detection_core.ui.live.tab import LiveTab
from detection_core.ui.shared.image_links import ImageLinks
from detection_core.ui.shared.session import KeptResult
from detection_core.ui.video.tab import VideoTab
from tests.factories import make_detections
from tests.ui.fake_engine import FakeEngine
from tests.video.io.videos import make_video

REQUEST = SimpleNamespace(session_hash="visitor")
SIZE = (48, 64)
# Stand in a message for what only the server knows.
IMAGE, VIDEO, NUMBERS, BATCH, STREAM, JOB = "IMAGE-PATH", "VIDEO-PATH", "NUMBERS-PATH", "BATCH-TOKEN", "STREAM-TOKEN", "VIDEO-TOKEN"


class Page:
    """The tabs with a visitor who has a batch, a camera and a video."""

    def __init__(self, folder: Path) -> None:
        uploads = folder / "uploads"
        uploads.mkdir(exist_ok=True)
        os.environ["GRADIO_TEMP_DIR"] = str(uploads)
        engine, spec = FakeEngine(), get_model_spec(PERSON_MODEL)
        self.streams = LiveStreams(most=12)
        self.batch, self.live, self.video = BatchTab(engine), LiveTab(engine, self.streams), VideoTab(engine)
        self.compare = CompareTab(engine, ImageLinks())
        with gr.Blocks() as page:
            for tab in (self.batch, self.live, self.video):
                tab.layout()
                tab.wire(page)
            self.compare.layout()
        image = uploads / "a.png"
        load_image(np.full((*SIZE, 3), 99, np.uint8)).save(image)
        self.found = make_detections(3, image_size=SIZE, labels=[1, 1, 1], categories=spec.categories, masks=True, keypoints=True)
        self.kept = KeptResult(image, self.found)
        self.batch_entry = self.batch.batches.begin("visitor/batch", spec)
        self.batch.batches.keep(self.batch_entry, "1", BatchImage(image, "x/a.png", self.found))
        video = make_video(uploads / "a.mp4", 4)
        annotations = uploads / "numbers.json"
        annotations.write_text('{"images": [{"id": 5, "file_name": "x/a.png"}], "categories": [{"id": 3, "name": "person"}]}')
        begun = self.video.begin(PERSON_MODEL, SimpleNamespace(_data={"path": str(video), "name": "a.mp4"}), REQUEST)
        assert begun.start is not None
        self._places = {
            IMAGE: str(image), VIDEO: str(video), NUMBERS: str(annotations), BATCH: self.batch_entry.token, JOB: begun.start.video,
        }  # fmt: skip

    def filled(self, data: bytes) -> bytes:
        """A message with what only the server knows."""
        if STREAM.encode() in data:
            stream = self.streams.begin("visitor/live", get_model_spec(PERSON_MODEL))
            data = data.replace(STREAM.encode(), stream.token.encode())
        for mark, known in self._places.items():
            data = data.replace(mark.encode(), known.encode())
        return data
