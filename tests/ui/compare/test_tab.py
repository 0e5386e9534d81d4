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

from detection_core.engine import EngineError
from detection_core.formats import from_json
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.ui.compare.view import CompareMessage, CompareSettings
from detection_core.ui.shared.examples import EXAMPLE_PATHS, EXAMPLES
from tests.ui.compare.visit import FCOS, IMAGE, MASKS, REQUEST, SSD, Visit, make_engine


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
