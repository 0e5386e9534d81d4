"""The Compare tab's handlers; tests/browser runs the page itself."""

from __future__ import annotations

import json
import os
import zipfile
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.engine import EngineError
from detection_core.formats import from_json, to_coco_results
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, ModelSpec, get_model_spec, list_models
from detection_core.models.detector import Timings
from detection_core.models.weights import WeightsError
from detection_core.ui.compare.tab import CompareTab
from detection_core.ui.compare.view import CompareMessage, CompareSettings
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES
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
        handler = self.tab.add_results(skip_invalid=skip_invalid)
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


def test_models_side_by_side():
    message = Visit().compare(PERSON_MODEL, SSD)
    assert [(model.id, len(model.objects)) for model in message.models] == [(PERSON_MODEL, 5), (SSD, 6)]
    assert message.models[1].threshold == get_model_spec(SSD).default_threshold
    assert message.models[1].cost.latency_ms == pytest.approx(100)
    assert message.link_name == "example:cameraman"
    assert {point.id for point in message.points} == {PERSON_MODEL, SSD}


def test_one_that_fails_says_why_and_does_not_affect_the_others():
    message = Visit().compare(PERSON_MODEL, FCOS, "gone", SSD)
    assert [model.objects is not None for model in message.models] == [True, False, False, True]
    assert message.models[1].error.text == "It cannot be downloaded."
    assert "gone" in message.models[2].error.title


def test_nothing_is_downloaded_unasked():
    visit = Visit(make_engine(MASKS))
    message = visit.compare(PERSON_MODEL, MASKS, downloads=False)
    assert "178 MB" in message.models[1].error.text
    assert [each.model for each in visit.engine.submissions] == [PERSON_MODEL]
    assert visit.compare(PERSON_MODEL, MASKS).models[1].objects is not None


def test_a_models_precisions_share_a_download():
    visit = Visit(make_engine(MASKS))
    *_, (_, _, _, button, _) = visit.tab.compare(IMAGE, [MASKS, f"{MASKS}@stock"], [], {}, REQUEST)
    assert button["value"] == "Download 178 MB and compare"


def test_a_model_beside_itself_in_another_precision():
    visit = Visit()
    message = visit.compare(SSD, f"{SSD}@stock")
    assert [(model.id, model.title) for model in message.models] == [(SSD, "SSD300 VGG-16"), (f"{SSD}@stock", "SSD300 VGG-16 · stock")]
    saved = visit.tab.download(CompareSettings(), visit.name)
    with zipfile.ZipFile(saved.download.path) as archive:
        assert {f"{SSD}.png", f"{SSD}@stock.png", f"difference_{SSD}_{SSD}@stock.png"} <= set(archive.namelist())


def test_a_model_at_two_sizes_is_two_and_a_size_that_it_does_not_have_is_an_error_of_its_own():
    message = Visit().compare(FCOS, f"{FCOS}@480px", f"{SSD}@480px")
    titles = [(model.id, model.title) for model in message.models]
    assert titles[:2] == [(FCOS, "FCOS ResNet-50 FPN"), (f"{FCOS}@480px", "FCOS ResNet-50 FPN · 480 px")]
    assert "SSD models have one input size only" in message.models[2].error.text


def test_begins_in_the_usual_precision(monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "stock")
    assert Visit().tab.slots.value["selected"] == [f"{COCO_MODEL}@stock", f"{PERSON_MODEL}@stock"]


def test_without_an_image_the_button_asks_for_one():
    ((message, *_),) = Visit().tab.press_compare(None, [PERSON_MODEL, SSD], [], {}, REQUEST)
    assert message.error.title == "No image yet"


def test_measuring_takes_turns_and_ends_with_figures():
    visit = Visit()
    updates = list(visit.tab.measure(IMAGE, [PERSON_MODEL, SSD], [], {}, REQUEST))
    measured = [each.model for each in visit.engine.submissions if each.measure]
    assert measured == [PERSON_MODEL, SSD] * 5
    assert "round 5 of 5" in updates[9][0].status.text
    costs = [model.cost for model in updates[-1][0].models]
    assert [(cost.runs, cost.memory_mb) for cost in costs] == [(5, 1), (5, 1)]


def test_measuring_without_a_model_is_an_error():
    ((message, *_),) = Visit(make_engine(SSD, FCOS)).tab.measure(IMAGE, [FCOS, SSD], [], {}, REQUEST)
    assert "None of these models" in message.error.text


@pytest.mark.parametrize("what_comes", ["cancel", "another comparison"])
def test_measuring_ends_between_two_runs(what_comes: str):
    visit = Visit()
    updates = visit.tab.measure(IMAGE, [PERSON_MODEL, SSD], [], {}, REQUEST)
    assert "round 1 of 5" in next(updates)[0].status.text
    if what_comes == "cancel":
        visit.tab.cancel(REQUEST)
    else:
        visit.compare(PERSON_MODEL, SSD)
    ((message, *_),) = updates
    assert message == (CompareMessage() if what_comes == "cancel" else gr.skip())
    assert sum(each.measure for each in visit.engine.submissions) == 2


def results_file(path, **changes: Any) -> str:
    with Image.open(IMAGE) as image:
        found = make_detections(4, image_size=(image.height, image.width), categories=("__background__", "person"))
    entries = [entry | changes for entry in to_coco_results(found, 1)]
    path.write_text(json.dumps(entries))
    return str(path)


def test_results_of_another_tool_become_a_model(tmp_path):
    visit = Visit()
    message = visit.add(results_file(tmp_path / "theirs.json"), PERSON_MODEL, SSD)
    theirs = message.models[2]
    assert (theirs.title, len(theirs.objects), theirs.linkable) == ("theirs.json", 4, False)
    other = visit.compare(PERSON_MODEL, SSD, path=str(EXAMPLE_PATHS[0]))
    assert len(other.models) == 2
    assert "theirs.json" in other.notes[-1]


@pytest.mark.parametrize("content", ["", "{", "[7]", '[{"image_id": 1}]'])
def test_a_file_that_is_no_results_says_so(tmp_path, content: str):
    path = tmp_path / "bad.json"
    path.write_text(content)
    visit = Visit()
    message = visit.add(str(path), PERSON_MODEL, SSD)
    assert "bad.json" in message.error.title
    assert visit.files == []


def test_a_failed_upload_is_an_error():
    ((message, *_),) = Visit().tab.add_results(skip_invalid=False)(None, "", IMAGE, [PERSON_MODEL, SSD], [], {}, REQUEST)
    assert "upload has failed" in message.error.text


def test_of_very_many_imported_objects_those_with_the_highest_scores_are_compared(tmp_path):
    entry = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
    path = tmp_path / "many.json"
    path.write_text(json.dumps([entry | {"score": n / 400} for n in range(400)]))
    theirs = Visit().add(str(path), PERSON_MODEL, SSD).models[2]
    assert theirs.title == "many.json (the 300 highest scores of 400)"
    assert [len(theirs.objects), theirs.objects[-1].score] == [300, 0.25]


def test_of_a_file_about_several_images_one_is_asked_for(tmp_path):
    path = tmp_path / "all.json"
    with Image.open(IMAGE) as image:
        size = image.height, image.width
    path.write_text(json.dumps([entry for n in (1, 2, 3) for entry in to_coco_results(make_detections(n, image_size=size), n)]))
    visit = Visit()
    message = visit.add(str(path), PERSON_MODEL, SSD)
    assert "Which of the images" in message.error.title
    assert visit.image_id_box["visible"]
    message = visit.add(str(path), PERSON_MODEL, SSD, image_id=" 3 ")
    assert len(message.models[2].objects) == 3
    assert not visit.image_id_box["visible"]
    assert "has the image id 7" in visit.add(str(path), PERSON_MODEL, SSD, image_id="7").error.text


def test_invalid_entries_are_skipped_when_asked(tmp_path):
    path = tmp_path / "some.json"
    good = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9}
    path.write_text(json.dumps([good, good | {"score": 90}, good]))
    visit = Visit()
    error = visit.add(str(path), PERSON_MODEL, SSD).error
    assert error.text == "results[1]: its “score” must be a number from 0 to 1, but is 90. Divide percentages by 100."
    assert visit.skip_button["visible"]
    message = visit.add(str(path), PERSON_MODEL, SSD, skip_invalid=True)
    assert len(message.models[2].objects) == 2
    assert message.notes == [f"“some.json”: 1 of 3 entries is invalid and skipped; the first: {error.text}"]
    assert not visit.skip_button["visible"]
    assert visit.compare(PERSON_MODEL, SSD).notes == message.notes


def test_ids_that_are_not_cocos_are_named_by_a_model_beside_them(tmp_path):
    path = tmp_path / "yolo.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": key, "bbox": [10, 10, 20, 20], "score": 0.9} for key in (0, 2)]))
    message = Visit().add(str(path), PERSON_MODEL, SSD)
    assert sorted(category.name for category in message.models[2].categories.values()) == ["car", "person"]
    assert "They are taken for the classes of SSD300 VGG-16, counted from 0." in message.notes[0]
    message = Visit().add(str(path), PERSON_MODEL)
    assert sorted(category.name for category in message.models[1].categories.values()) == ["class 0", "class 2"]
    assert "So its classes have numbers instead of names." in message.notes[0]


def test_four_models_leave_no_room_for_a_file(tmp_path):
    visit = Visit()
    visit.add(results_file(tmp_path / "theirs.json"), PERSON_MODEL, SSD)
    message = visit.compare(PERSON_MODEL, SSD, MASKS, "ssdlite320_mobilenet_v3_large")
    assert len(message.models) == 4
    assert "at most 4 models" in message.notes[-1]


def test_the_archive_holds_what_is_seen():
    visit = Visit()
    visit.compare(PERSON_MODEL, SSD)
    settings = CompareSettings(rule="same", threshold=0.2)
    message = visit.tab.download(settings, visit.name)
    assert message.download_name == "cameraman_comparison.zip"
    with zipfile.ZipFile(message.download.path) as archive:
        facts = json.loads(archive.read("comparison.json"))
        theirs = from_json(json.loads(archive.read(f"{SSD}/cameraman_detections.json")))
        assert {f"{SSD}.png", f"{SSD}/coco_results.json", f"{SSD}/detections.csv", f"{SSD}/yolo_detect/labels/cameraman.txt"} < set(
            archive.namelist()
        )
        with Image.open(archive.open(f"difference_{PERSON_MODEL}_{SSD}.png")) as image:
            assert json.loads(image.info["Settings"])["a"]["model"] == PERSON_MODEL
    assert len(theirs) == 5
    (pair,) = facts["pairs"]
    assert pair["counts"] == {"matched": 5, "only_a": 0, "only_b": 0, "other_class": 0}
    assert [model["provenance"]["threshold"] for model in facts["models"]] == [0.2, 0.2]


def test_until_all_have_answered_the_archive_is_of_what_has_come_in():
    visit = Visit()
    visit.compare(PERSON_MODEL, SSD, path=str(EXAMPLE_PATHS[0]))
    _, name, *_ = next(visit.tab.press_compare(IMAGE, [PERSON_MODEL, SSD], [], {}, REQUEST))
    message = visit.tab.download(CompareSettings(), name)
    assert "given a result yet" in message.error.text


def test_an_expired_comparison_is_an_error():
    message = Visit().tab.download(CompareSettings(), "unknown")
    assert "no longer kept" in message.error.text


@pytest.mark.parametrize(
    ("query", "image", "models", "settings"),
    [
        ({"tab": "compare", "image": "example:cat", "models": f"{SSD},{FCOS}", "iou": "0.7"}, "Cat", [SSD, FCOS], {"iou": 0.7}),
        ({"tab": "compare", "image": "kept:gone", "models": SSD}, "Grace Hopper", [SSD, COCO_MODEL], {}),
        ({"tab": "compare", "models": f"{SSD}%40fast,{SSD}"}, "Grace Hopper", [f"{SSD}@fast", SSD], {}),
        ({"tab": "compare", "models": f"{FCOS}%40480px,{FCOS}"}, "Grace Hopper", [f"{FCOS}@480px", FCOS], {}),
        ({"tab": "compare"}, "Grace Hopper", [COCO_MODEL, PERSON_MODEL], {}),
    ],
    ids=["whole", "image gone", "two precisions", "two sizes", "bare"],
)
def test_a_link_brings_a_comparison_back(query, image: str, models: list[str], settings: dict[str, Any]):
    request = SimpleNamespace(session_hash="visitor", query_params=query)
    path, slots, restore = Visit().tab.open_link(request)
    assert path == str(EXAMPLES[image])
    assert slots["selected"] == models
    assert restore == settings


def test_a_plain_visit_changes_nothing():
    assert Visit().tab.open_link(REQUEST) is None


def test_a_busy_engine_is_an_error_in_the_view():
    visit = Visit()
    visit.engine.refusals = [EngineError("Too many images are waiting already. Try again in a moment.")] * 2
    message = visit.compare(PERSON_MODEL, SSD)
    assert all("Too many" in model.error.text for model in message.models)
