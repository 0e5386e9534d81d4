"""An input size is chosen beside the precision in real Chromium: it is kept where a model has sizes, and says what it costs."""

from __future__ import annotations

import json
import re

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from detection_core.engine import LocalEngine
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, list_models
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.components.model_picker import ModelPicker, picker_value
from detection_core.ui.components.model_slots import ModelSlots
from tests.browser.variant import open_variant
from tests.download_host import machine_without_weights

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 1000
FCOS = "fcos_resnet50_fpn"
STATES = dict.fromkeys(list_models(), "on disk")


@pytest.fixture(scope="module")
def components(serve) -> str:
    """The picker and the slots alone, and what they give."""
    with gr.Blocks() as blocks:
        picker, slots = ModelPicker(STATES), ModelSlots([PERSON_MODEL, COCO_MODEL], STATES)
        gave = gr.Textbox(label="Gave")
        quiet = {"show_progress": "hidden", "trigger_mode": "always_last"}
        gr.on([picker.select, slots.select], lambda key, keys: f"{key} {keys}", [picker, slots], gave, **quiet)
        measured = {FCOS: 1.1, f"{FCOS}@1333px": 2.9}
        elsewhere = gr.Button("Elsewhere")
        elsewhere.click(lambda: picker_value(f"{FCOS}@500px", STATES, measured, choose=True), None, picker, show_progress="hidden")
    return serve(blocks)


def size_of(place: Locator) -> Locator:
    open_variant(place)
    return place.get_by_role("combobox", name=re.compile("^Input size"))


def test_a_size_stays_where_models_have_sizes_and_an_ssd_says_why_it_has_none(page, components):
    page.goto(components)
    picker, gave = page.locator(".picker"), page.get_by_label("Gave")
    expect(size_of(picker)).to_be_disabled()
    expect(picker).to_contain_text("SSDlite models have one input size only: their anchors")
    model = page.get_by_role("combobox", name="Model", exact=True)
    model.select_option(PERSON_MODEL)
    expect(size_of(picker).locator("option")).to_have_text(["As trained (320 px)", *(f"{n} px" for n in (320, 480, 640, 800, 1024, 1333))])
    size_of(picker).select_option("640 px")
    expect(gave).to_have_value(re.compile(f"^{PERSON_MODEL}@640px "))
    model.select_option(FCOS)
    expect(gave).to_have_value(re.compile(f"^{FCOS}@640px "))
    model.select_option(COCO_MODEL)
    expect(gave).to_have_value(re.compile(f"^{COCO_MODEL} "))


def test_a_size_of_a_program_is_listed_and_its_cost_is_estimated_before_it_runs(page, components):
    page.goto(components)
    page.get_by_role("button", name="Elsewhere").click()
    picker = page.locator(".picker")
    expect(size_of(picker)).to_have_value("500")
    expect(picker.locator(".input-size")).to_contain_text("Takes about 0.48 s an image here, estimated from 1.1 s at 800 px.")
    size_of(picker).select_option("As trained (800 px)")
    expect(picker.locator(".input-size")).to_contain_text("Takes about 1.1 s an image here.")
    expect(picker.locator(".input-size")).not_to_contain_text("estimated")


def test_a_model_at_two_sizes_is_two_in_the_slots(page, components):
    page.goto(components)
    slots = page.locator(".slots li")
    slots.nth(1).get_by_role("combobox", name="Model B", exact=True).select_option(PERSON_MODEL)
    # The two have changed places.
    expect(page.get_by_label("Gave")).to_have_value(f"{COCO_MODEL} ['{COCO_MODEL}', '{PERSON_MODEL}']")
    slots.nth(0).get_by_role("combobox", name="Model A", exact=True).select_option(FCOS)
    size_of(slots.nth(1)).select_option("640 px")
    slots.nth(0).get_by_role("combobox", name="Model A", exact=True).select_option(PERSON_MODEL)
    expect(page.get_by_label("Gave")).to_have_value(f"{COCO_MODEL} ['{PERSON_MODEL}', '{PERSON_MODEL}@640px']")
    expect(slots.nth(1)).to_contain_text("Box AP 31.7 as trained")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_names_the_size_of_a_result_and_has_no_axe_violations(page, serve, tmp_path_factory, width):
    with machine_without_weights(tmp_path_factory.mktemp("home")):
        engine = LocalEngine()
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(serve(build_app(engine), **launch_options()))
        page.get_by_role("combobox", name="Model", exact=True).select_option(PERSON_MODEL)
        expect(page.locator(".dv-model")).to_have_text("Person MobileNetV2 FPN (built in)", timeout=30 * SECONDS)
        size_of(page.locator(".picker").first).select_option("480 px")
        expect(page.locator(".dv-model")).to_have_text("Person MobileNetV2 FPN (built in) · 480 px", timeout=30 * SECONDS)
        page.get_by_role("button", name="Other formats").click()
        with page.expect_download(timeout=20 * SECONDS) as caught:
            page.get_by_role("menuitem", name=re.compile("^JSON")).click()
        assert json.loads(caught.value.path().read_text())["provenance"]["model"] == f"{PERSON_MODEL}@480px"
        violations = [each for each in Axe().run(page).response["violations"] if "picker" in json.dumps(each)]
        assert violations == []
        engine.close()
