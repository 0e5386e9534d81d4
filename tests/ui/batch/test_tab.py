"""The Batch tab's handlers; tests/browser runs the page itself."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest
from PIL import Image

from detection_core.formats import FORMATS
from detection_core.images.reading import ImageError
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.batch.store import Batch, BatchImage
from detection_core.ui.batch.tab import BatchTab, NothingToPackError, pack
from detection_core.ui.batch.view import BatchMessage, BatchOrder, BatchView
from detection_core.ui.shared.examples import EXAMPLE_PATHS
from tests.factories import make_detections
from tests.ui.fake_engine import FakeEngine

REQUEST = SimpleNamespace(session_hash="visitor")


@pytest.fixture
def tab() -> BatchTab:
    tab = BatchTab(FakeEngine())
    with gr.Blocks():
        tab.layout()
    return tab


def event(**data: Any) -> SimpleNamespace:
    return SimpleNamespace(_data=data)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """Two images of the same name from two folders; scores are 0.95, 0.525 and 0.1."""
    batch = Batch("visitor/batch", get_model_spec(PERSON_MODEL))
    for number, folder in enumerate(("x", "y"), start=1):
        path = tmp_path / folder / "a.png"
        path.parent.mkdir()
        Image.new("RGB", (64, 48), "navy").save(path)
        found = make_detections(3, image_size=(48, 64), labels=[1, 1, 1], masks=True, model=PERSON_MODEL)
        batch.images[str(number)] = BatchImage(path, f"{folder}/a.png", found)
    return batch


def order(**changes: Any) -> BatchOrder:
    return BatchOrder.from_client({"batch": "x", "images": ["1", "2"], "formats": ["csv", "png"], "threshold": 0.5} | changes)


def test_the_examples_keep_their_names(tab):
    served = tab.examples().examples
    assert [file.orig_name for file in served] == [path.name for path in EXAMPLE_PATHS]
    assert [Path(file.path).read_bytes() for file in served] == [path.read_bytes() for path in EXAMPLE_PATHS]


def test_everything_chosen_is_packed(batch, tmp_path):
    with zipfile.ZipFile(pack(batch, order(), tmp_path / "cache")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        (table,) = (name for name in names if name.endswith(".csv"))
        assert len(list(csv.DictReader(io.TextIOWrapper(archive.open(table), "utf-8-sig")))) == 4
        assert len([name for name in names if name.endswith(".png")]) == 2
    assert not [name for name in names if name.startswith(("/", ".."))]


def test_only_what_is_seen_and_chosen_is_packed(batch, tmp_path):
    with zipfile.ZipFile(pack(batch, order(images=["2", "gone"], formats=["csv"], threshold=0.9), tmp_path)) as archive:
        (table,) = (name for name in archive.namelist() if name.endswith(".csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(table), "utf-8-sig")))
    assert [row["file_name"] for row in rows] == ["y/a.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"images": []}, "at least one image"), ({"images": ["9"]}, "at least one image"), ({"formats": ["yolo-pose"]}, "one format")],
    ids=["no image", "unknown image", "no keypoints"],
)
def test_nothing_to_pack_says_so(batch, tmp_path, changes, message):
    with pytest.raises(NothingToPackError, match=message):
        pack(batch, order(**changes), tmp_path)


def test_an_image_that_is_gone_leaves_no_half_archive(batch, tmp_path):
    batch.images["2"].path.unlink()
    with pytest.raises(ImageError, match=r"y/a.png: The image is no longer on the server"):
        pack(batch, order(), tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.zip"))


@pytest.mark.parametrize("sent", [None, "x", [1], {"images": "12", "formats": {"csv": 1}, "threshold": "high", "batch": 3}], ids=str)
def test_orders_are_not_trusted(sent):
    assert BatchOrder.from_client(sent) == BatchOrder("", [], [], 0.5)


def test_orders_keep_what_there_is():
    sent = {"batch": "b", "images": ["2", 1, "2", "1"], "formats": ["png", "exe", "csv"], "threshold": 7}
    assert BatchOrder.from_client(sent) == BatchOrder("b", ["2", "1"], [key for key in FORMATS if key in ("csv", "png")], 1)


def test_a_model_that_is_here_begins_at_once(tab):
    start = tab.begin_if_here(PERSON_MODEL, "", REQUEST).start
    spec = get_model_spec(PERSON_MODEL)
    assert (start.model.title, start.threshold, start.floor) == (spec.title, spec.default_threshold, spec.min_score)
    assert (start.categories["1"].name, start.categories["1"].plural) == ("person", "persons")
    again = tab.begin(PERSON_MODEL, start.batch, REQUEST).start
    assert again.batch == start.batch
    assert again.turn != start.turn


def test_a_model_that_must_be_downloaded_waits_for_the_button(tab):
    message = tab.begin_if_here("ssd300_vgg16", "", REQUEST)
    assert message.start is None
    assert "must be downloaded" in message.notes[0]
    assert tab.show_model("ssd300_vgg16")[1]["value"] == "Download 143 MB and detect"
    assert tab.begin("ssd300_vgg16", "", REQUEST).start.model.key == "ssd300_vgg16"


def test_a_missing_model_is_an_error(tab):
    assert tab.begin("pets", "", REQUEST).error.title == "There is no model “pets” here"


def test_a_size_that_a_model_does_not_have_is_an_error(tab):
    error = tab.begin("ssd300_vgg16@480px", "", REQUEST).error
    assert error.title == "The model does not run like this"
    assert "one input size only" in error.text
    assert tab.begin(f"{PERSON_MODEL}@480px", "", REQUEST).start.model.title.endswith(" · 480 px")


def test_a_download_of_expired_results_is_an_error(tab):
    message = tab.download(event(batch="guessed", images=["1"], formats=["csv"]))
    assert message.error.title == "The files cannot be written"
    assert "Press Detect" in message.error.text


def test_a_download_is_a_file_of_the_view(tab, batch):
    kept = tab.batches.begin("visitor/batch", batch.spec)
    for key, image in batch.images.items():
        tab.batches.keep(kept, key, image)
    message = tab.download(event(batch=kept.token, images=["1"], formats=["csv"], threshold=0.5))
    assert message.download_name == f"detections_{PERSON_MODEL}.zip"
    assert Path(message.download.path).is_file()
    assert message.download.path in tab.view.temp_files


def test_an_opened_image_is_its_file_and_model(tab, batch):
    kept = tab.batches.begin("visitor/batch", batch.spec)
    tab.batches.keep(kept, "1", batch.images["1"])
    assert tab.image_to_open({"batch": kept.token, "id": "1"}) == (batch.images["1"].path, PERSON_MODEL)


@pytest.mark.parametrize("sent", [None, [], {"batch": "guessed", "id": "1"}, {"batch": 1, "id": []}], ids=str)
def test_an_unknown_image_is_not_opened(tab, sent):
    assert tab.image_to_open(sent) is None


def test_nothing_stays_of_a_visitor_who_leaves(tab):
    start = tab.begin(PERSON_MODEL, "", REQUEST).start
    tab.leave(REQUEST)
    assert tab.download(event(batch=start.batch)).error is not None


@pytest.mark.parametrize(("payload", "name"), [(None, ""), (BatchMessage(batch="b"), "b"), (BatchMessage.model_validate(""), "")])
def test_the_view_gives_the_name_of_its_batch(tab, payload, name):
    assert isinstance(tab.view, BatchView)
    assert tab.view.preprocess(payload) == name
