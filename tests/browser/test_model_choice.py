"""The model picker and the model slots in real Chromium: the visitor's choice holds against answers that saw an older one."""

from __future__ import annotations

import threading

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, list_specs
from detection_core.ui.components.model_picker import ModelPicker, picker_value
from detection_core.ui.components.model_slots import ModelSlots, slots_value

pytestmark = pytest.mark.browser

STATES = {spec.key: "on disk" for spec in list_specs()}
LOADED = dict.fromkeys(STATES, "in memory")
SSDLITE, FCOS = "ssdlite320_mobilenet_v3_large", "fcos_resnet50_fpn"


@pytest.fixture(scope="module")
def go() -> threading.Event:
    """Lets the answers out."""
    return threading.Event()


@pytest.fixture(scope="module")
def url(serve, go: threading.Event) -> str:
    def answer(key: str, keys: list[str]):
        assert go.wait(20)
        return picker_value(key, LOADED), slots_value(keys, LOADED), f"saw {key}, {keys[0]}"

    def choose():
        return picker_value(FCOS, LOADED, choose=True), slots_value([FCOS, SSDLITE], LOADED, choose=True)

    with gr.Blocks() as blocks:
        picker, slots = ModelPicker(STATES), ModelSlots([PERSON_MODEL, SSDLITE], STATES)
        saw = gr.Textbox(label="Saw")
        gr.Button("Answer").click(answer, [picker, slots], [picker, slots, saw], show_progress="hidden")
        gr.Button("Choose").click(choose, None, [picker, slots], show_progress="hidden")
    return serve(blocks)


@pytest.fixture
def opened(page: Page, url: str, go: threading.Event) -> Page:
    go.clear()
    page.goto(url)
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value(COCO_MODEL)
    return page


def test_a_choice_made_while_an_answer_is_on_its_way_holds(opened: Page, go: threading.Event):
    picker, slot = opened.get_by_role("combobox", name="Model", exact=True), opened.get_by_role("combobox", name="Model A", exact=True)
    opened.get_by_role("button", name="Answer").click()
    picker.select_option(SSDLITE)
    slot.select_option(FCOS)
    go.set()
    expect(opened.get_by_label("Saw")).to_have_value(f"saw {COCO_MODEL}, {PERSON_MODEL}")
    expect(opened.locator(".pill.ready").first).to_have_text("in memory")
    expect(picker).to_have_value(SSDLITE)
    expect(slot).to_have_value(FCOS)
    opened.get_by_role("button", name="Answer").click()
    expect(opened.get_by_label("Saw")).to_have_value(f"saw {SSDLITE}, {FCOS}")


@pytest.mark.parametrize("name", ["Model", "Model A"])
def test_built_in_models_are_a_group_at_the_top(opened: Page, name: str):
    groups = opened.get_by_role("combobox", name=name, exact=True).locator("optgroup")
    assert groups.first.get_attribute("label") == "Built in, no download"
    assert [option.get_attribute("value") for option in groups.first.locator("option").all()] == [COCO_MODEL, PERSON_MODEL]
    labels = [group.get_attribute("label") for group in groups.all()]
    assert len(labels) == len(set(labels)) > 1


def test_python_can_choose(opened: Page):
    opened.get_by_role("combobox", name="Model", exact=True).select_option(SSDLITE)
    opened.get_by_role("button", name="Choose").click()
    expect(opened.get_by_role("combobox", name="Model", exact=True)).to_have_value(FCOS)
    expect(opened.get_by_role("combobox", name="Model A", exact=True)).to_have_value(FCOS)
    opened.get_by_role("combobox", name="Model A", exact=True).select_option(PERSON_MODEL)
    expect(opened.get_by_role("combobox", name="Model A", exact=True)).to_have_value(PERSON_MODEL)
