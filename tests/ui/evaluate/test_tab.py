"""The Evaluate tab's handlers on the built-in sample, with an engine that finds what a test says; tests/browser runs the page itself."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder

from detection_core.datasets.sources import read_dataset
from detection_core.detections import Detections
from detection_core.engine import Cancelled, EngineError
from detection_core.evaluation import evaluate
from detection_core.formats.thresholds import ModelThresholds, read_thresholds
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL
from detection_core.models.spec import ModelSpec
from detection_core.ui.evaluate.messages import DataMessage, DataOrder, EvaluateMessage, EvaluateOrder
from detection_core.ui.evaluate.tab import SAMPLE, EvaluateTab
from tests.coco_folders import coco_folder
from tests.datasets.test_coco_layout import TRAIN, VAL, laid_out
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine

REQUEST = SimpleNamespace(session_hash="visitor")
IMAGES = len(read_dataset(SAMPLE).images)
OBJECTS = sum(len(image.annotations) for image in read_dataset(SAMPLE).images)


def find_all(image: LoadedImage, spec: ModelSpec) -> Detections:
    """A perfect model, but for one false positive on every image: it looks up the annotations of images of that size."""
    size = image.image.size
    dataset = read_dataset(SAMPLE)
    known = [entry for each in dataset.images if each.size == size for entry in each.annotations]
    names = [dataset.categories[dataset.labels[entry["category_id"]]] for entry in known]
    kept = [(entry, spec.categories.index(name)) for entry, name in zip(known, names, strict=True) if name in spec.categories]
    boxes = [[x, y, x + w, y + h] for (x, y, w, h), _ in ((entry["bbox"], label) for entry, label in kept)] + [[1.0, 1.0, 9.0, 9.0]]
    labels = np.array([*(label for _, label in kept), 1])
    scores = np.array([*(0.9 - 0.01 * i for i in range(len(kept))), 0.3], np.float32)
    return Detections(np.array(boxes, np.float32), labels, scores, size[::-1], spec.categories, model=spec.key)


class Visit:
    """A visitor in the tab."""

    def __init__(self, tab: EvaluateTab) -> None:
        self.engine = tab._engine = FakeEngine(find_all)
        self.tab = tab
        self.data = DataMessage()

    def load(self, *paths: Path, root: Path | None = None) -> DataMessage:
        files = [{"path": str(path), "name": str(path.relative_to(root)) if root else path.name} for path in paths]
        self.data, *_ = self.tab.load(event(files=files), REQUEST)
        return self.data

    def evaluate(self, keys: list[str], results: list[dict[str, str]] | None = None, **order: Any) -> list[EvaluateMessage]:
        token = self.data.facts.evaluation if self.data.facts else ""
        data = DataOrder.from_client({"evaluation": token, "results": results or []})
        updates = list(self.tab.evaluate(keys, data, EvaluateOrder.from_client(order), REQUEST))
        self.data = next((data for data, *_ in updates if isinstance(data, DataMessage)), self.data)
        return [message for _, message, _ in updates]

    def result(self, keys: list[str], **order: Any) -> dict[str, Any]:
        last = self.evaluate(keys, **order)[-1]
        assert last.error is None, last.error
        assert last.result is not None
        return last.result

    def order(self, **changes: Any) -> dict[str, Any]:
        assert self.data.facts is not None
        return {"evaluation": self.data.facts.evaluation} | changes


def event(**data: Any) -> SimpleNamespace:
    return SimpleNamespace(_data=data)


@pytest.fixture(scope="module")
def tab() -> EvaluateTab:
    tab = EvaluateTab(FakeEngine())
    with gr.Blocks() as page:
        tab.layout()
        tab.wire(page)
    return tab


@pytest.fixture
def visit(tab: EvaluateTab) -> Iterator[Visit]:
    yield Visit(tab)
    tab.leave(REQUEST)


@pytest.fixture
def uploads() -> Iterator[Path]:
    """A folder in which Gradio would put uploads."""
    folder = Path(get_upload_folder()) / "evaluate-tests"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def test_the_first_click_evaluates_the_sample(visit):
    result = visit.result([COCO_MODEL])
    (model,) = result["models"]
    assert len(visit.engine.submissions) == IMAGES
    assert result["tasks"] == ["boxes", "masks"]
    assert "little" in result["notes"][0]
    reference = evaluate(SAMPLE, [COCO_MODEL], engine=FakeEngine(find_all)).models[0]
    assert model["summary"] == reference.figures.summary
    assert model["summary"]["AP"] == pytest.approx(1, abs=0.01)
    assert sum(row["objects"] for row in model["classes"]) == OBJECTS
    assert model["intervals"]["AP"] == list(reference.resampled.intervals()["AP"])
    assert json.dumps(result, allow_nan=False)


def test_what_is_done_is_not_done_again(visit):
    visit.result([COCO_MODEL])
    result = visit.result([COCO_MODEL, PERSON_MODEL])
    assert [submission.model for submission in visit.engine.submissions] == [COCO_MODEL] * IMAGES + [PERSON_MODEL] * IMAGES
    assert len(result["differences"]) == 1
    person = result["models"][1]
    assert "horse" in person["not_detected"]
    assert [row["AP"] for row in person["classes"] if result["categories"][row["label"]] == "horse"] == [0]


def test_another_class_mapping_runs_no_model(visit):
    first = visit.result([COCO_MODEL])
    result = visit.result([COCO_MODEL], changes={COCO_MODEL: {"horse": None, "cow": "horse"}})
    assert len(visit.engine.submissions) == IMAGES
    (before,), (after,) = first["models"], result["models"]
    assert (after["partners"]["cow"], before["partners"]["horse"]) == ("horse", "horse")
    assert "horse" in after["left_out"]
    assert any("cow → horse" in note for note in after["notes"])
    label = result["categories"].index("horse")
    assert [[row["AP"] for row in model["classes"] if row["label"] == label] for model in (before, after)] == [[pytest.approx(1)], [0]]


def test_an_evaluation_that_was_cancelled_continues(visit):
    visit.engine.failures = [None, None, Cancelled()]
    messages = visit.evaluate([COCO_MODEL])
    assert messages[-1].result is None
    assert messages[-1].status is None
    visit.result([COCO_MODEL])
    assert len(visit.engine.submissions) == IMAGES + 1


def test_progress_is_reported(visit):
    texts = [message.status.text for message in visit.evaluate([COCO_MODEL]) if isinstance(message, EvaluateMessage) and message.status]
    assert "is starting" in texts[0]
    assert f"of {IMAGES} images" in texts[1]


def test_a_model_that_fails_is_named_beside_the_others(visit):
    visit.engine.failures = [EngineError("It has failed.")]
    result = visit.result([COCO_MODEL, PERSON_MODEL])
    assert [model["name"] for model in result["models"]] == [PERSON_MODEL]
    assert result["failed"][0]["reason"] == "It has failed."


@pytest.mark.parametrize(
    ("keys", "words"),
    [([], "at least one model"), (["nothing"], "nothing"), ([COCO_MODEL, PERSON_MODEL, "a", "b"], "a")],
)
def test_what_cannot_be_evaluated_is_explained(visit, keys, words):
    assert words in visit.evaluate(keys)[-1].error.text


def test_no_model_left_is_an_error(visit):
    visit.engine.failures = [EngineError("It has failed.")]
    assert "It has failed." in visit.evaluate([COCO_MODEL])[-1].error.text


def test_other_objects_and_another_iou_need_no_model(visit):
    visit.result([COCO_MODEL])
    number = len(visit.engine.submissions)
    looked = visit.tab.look(event(**visit.order(iou=0.9))).result
    assert looked["iou"] == 0.9
    assert visit.tab.look(event(**visit.order(iou_type="segm"))).result["iou_type"] == "segm"
    assert visit.tab.look(event(**visit.order(iou_type="keypoints"))).error.text.startswith("The data has no keypoints")
    assert len(visit.engine.submissions) == number


def test_a_class_can_get_another_partner(visit):
    visit.result([COCO_MODEL])
    number = len(visit.engine.submissions)
    (model,) = visit.result([COCO_MODEL], changes={COCO_MODEL: {"horse": None, "dog": "cat"}})["models"]
    assert "horse" in model["left_out"]
    assert model["partners"]["dog"] == "cat"
    assert len(visit.engine.submissions) == number


def test_a_partner_that_the_data_does_not_have_is_explained(visit):
    assert "unicorn" in visit.evaluate([COCO_MODEL], changes={COCO_MODEL: {"horse": "unicorn"}})[-1].error.text


def test_crops_and_images(visit):
    visit.result([COCO_MODEL])
    answer = finish(visit.tab.crops({**visit.order(), "items": [[0, 10, 10, 50, 60], [99, 0, 0, 1, 1], "x", [0, 1e9, 0, 5, 5]]}))["crops"]
    assert answer[0]["url"].startswith("data:image/jpeg;base64,")
    assert [sorted(each) for each in answer[1:]] == [["error"]] * 3
    image = finish(visit.tab.whole_image({**visit.order(), "image": 0}))
    assert (image["width"], image["height"]) == (1024, 664)
    assert image["objects"] == image["detections"] == {}
    for wrong in (-1, IMAGES, True, "0", None):
        assert "error" in finish(visit.tab.whole_image({**visit.order(), "image": wrong}))
    assert "error" in finish(visit.tab.crops({"evaluation": "other", "items": []}))


def test_an_image_has_the_outlines_of_masks(visit):
    visit.result([COCO_MODEL], iou_type="segm")
    image = finish(visit.tab.whole_image({**visit.order(iou_type="segm"), "image": 0, "model": COCO_MODEL}))
    # What Gradio sends has no other keys.
    assert json.loads(json.dumps(image)) == image
    first = read_dataset(SAMPLE).images[0]
    assert len(image["objects"]) == len(first.annotations)
    for shape, entry in zip(image["objects"].values(), first.annotations, strict=True):
        points = np.concatenate([np.reshape(ring, (-1, 2)) for ring in shape["polygons"]])
        x, y, width, height = entry["bbox"]
        np.testing.assert_allclose([*points.min(0), *points.max(0)], [x, y, x + width, y + height], atol=4)


@pytest.mark.parametrize("file", ["report", "metrics", "classes", "thresholds"])
def test_files_are_downloaded_at_the_visitors_thresholds(visit, file):
    visit.result([COCO_MODEL])
    chosen = {"all": 0.25, "classes": {"person": 0.95, "no such class": 0.5}}
    message = visit.tab.download(event(**visit.order(format=file, thresholds={COCO_MODEL: chosen})))
    path = Path(message.download.path)
    assert path.name == message.download_name
    if file == "metrics":
        metrics = json.loads(path.read_text())["models"][COCO_MODEL]
        # The false positive is called a person.
        assert (metrics["at_threshold"]["threshold"], metrics["at_threshold"]["wrong"]) == (0.25, 0)
        assert metrics["class_thresholds"] == {"person": 0.95}
    if file == "classes":
        rows = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
        assert {row["class"]: row["threshold"] for row in rows if row["class"] in ("person", "cat")} == {"person": "0.95", "cat": "0.25"}
        assert next(row for row in rows if row["class"] == "person")["recall"] == "0.0"
    if file == "report":
        assert "0.25; 1 class has its own" in path.read_text()
    if file == "thresholds":
        assert read_thresholds(path) == {COCO_MODEL: ModelThresholds(0.25, {"person": 0.95})}
    shutil.rmtree(path.parent)


def test_only_known_files_are_downloaded(visit):
    visit.result([COCO_MODEL])
    assert visit.tab.download(event(**visit.order(format="../x"))).error


def test_results_files_of_other_tools_are_evaluated(visit, uploads):
    dataset = read_dataset(SAMPLE)
    entries = [
        {"image_id": image.id, "category_id": entry["category_id"], "bbox": entry["bbox"], "score": 0.8}
        for image in dataset.images
        for entry in image.annotations
    ]
    file = uploads / "mine.json"
    file.write_text(json.dumps(entries))
    sent = [{"path": str(file), "name": "theirs.json"}]
    (message,) = visit.evaluate([], sent)[-1:]
    assert message.result["models"][0]["title"] == "theirs.json"
    assert message.result["models"][0]["summary"]["AP"] == pytest.approx(1)
    assert not visit.engine.submissions
    gone = visit.evaluate([], [{"path": "/etc/passwd", "name": "x.json"}])[-1]
    assert "no longer on the server" in gone.error.text


def test_another_part_of_the_data_is_evaluated(visit, uploads):
    folder = laid_out(uploads / "coco", {VAL: "val2017", TRAIN: "train2017"})
    files = [{"path": str(path), "name": str(path.relative_to(uploads))} for path in folder.rglob("*") if path.is_file()]
    for part, chosen, images in (("", VAL, 1), (TRAIN, TRAIN, 2), ("no such part", VAL, 1)):
        visit.data, *_ = visit.tab.load(event(files=files, part=part), REQUEST)
        facts = visit.data.facts
        assert (facts.parts, facts.part, facts.images, facts.fault_count) == ([VAL, TRAIN], chosen, images, 0)
        assert len(visit.result([COCO_MODEL])["images"]) == images


def test_data_with_faults_is_listed_and_can_be_evaluated_without_them(visit, uploads):
    folder = coco_folder(uploads / "data", keypoints=False)
    annotations = json.loads((folder / "annotations.json").read_text())
    annotations["annotations"][0]["bbox"] = [0, 0, -5, 5]
    (folder / "annotations.json").write_text(json.dumps(annotations))
    facts = visit.load(*(path for path in folder.rglob("*") if path.is_file()), root=uploads).facts
    assert facts.name == "data"
    assert facts.fault_count == len(facts.faults) == 1
    assert "faults" in visit.evaluate([COCO_MODEL])[-1].error.text
    skipped = visit.tab.skip(DataOrder(facts.evaluation))
    assert not skipped.facts.fault_count
    assert skipped.notes[-1].startswith("Going on without")
    assert skipped.facts.objects == facts.objects - 1
    assert visit.result([COCO_MODEL])["name"] == "data"


def test_the_data_of_a_visitor_who_leaves_is_deleted(visit):
    visit.result([COCO_MODEL])
    entry = visit.tab.evaluations.get(visit.data.facts.evaluation)
    assert entry.folder.is_dir()
    visit.tab.leave(REQUEST)
    assert len(visit.tab.evaluations) == 0
    assert "no longer kept" in visit.tab.look(event(**visit.order())).error.text
    # In a thread of its own.
    deadline = time.monotonic() + 20
    while entry.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not entry.folder.exists()


SETTINGS = {
    "models": [PERSON_MODEL, 3, "no such model"],
    "iou": 0.75,
    "label": "cat",
    "thresholds": {PERSON_MODEL: {"all": 0.4, "classes": {"cat": 0.6}}},
}


@pytest.mark.parametrize("settings", [json.dumps(SETTINGS), "", "{", "[]", "[" * 20_000])
def test_a_link_sets_models_and_settings(tab, settings):
    tab._engine = FakeEngine(find_all)
    slots, message = tab.open_link(SimpleNamespace(query_params={"tab": "evaluate", "settings": settings}))
    is_read = "models" in settings
    assert slots["selected"] == ([PERSON_MODEL] if is_read else [])
    assert message.link == {
        "iou": 0.75 if is_read else 0.5,
        "iou_type": "bbox",
        "label": "cat" if is_read else "",
        "thresholds": SETTINGS["thresholds"] if is_read else {},
    }
    assert "Press Evaluate" in message.notes[0]


def test_other_addresses_are_no_links(tab):
    assert tab.open_link(SimpleNamespace(query_params={"tab": "compare"})) is None


WRONG = {
    "iou": "much",
    "changes": [1],
    "thresholds": {"a": "x", "b": {"all": 7, "classes": {"c": "x", "d": 2}}, "c": {"all": "x"}},
    "iou_type": "x",
    "evaluation": 4,
}


@pytest.mark.parametrize("sent", [None, "x", WRONG])
def test_orders_from_anywhere_become_usable(sent):
    order = EvaluateOrder.from_client(sent)
    assert (order.iou_type, order.iou, dict(order.changes)) == ("bbox", 0.5, {})
    assert order.thresholds == ({"b": ModelThresholds(1, {"d": 1})} if sent is WRONG else {})
