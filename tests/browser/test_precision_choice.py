"""A precision is chosen beside the model in real Chromium: it is kept when the model changes, and named wherever the result goes."""

from __future__ import annotations

import json
import re

import gradio as gr
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from detection_core.engine import LocalEngine
from detection_core.models.catalog import COCO_MODEL, get_model_spec, list_models
from detection_core.models.optimized import sixteen_bits
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.components.model_picker import ModelPicker, picker_value
from detection_core.ui.components.model_slots import ModelSlots
from tests.browser.variant import open_variant
from tests.download_host import machine_without_weights

pytestmark = pytest.mark.browser

SECONDS = 1000
SSD, FCOS = "ssd300_vgg16", "fcos_resnet50_fpn"
# FCOS has but one precision, SSD and the model that the picker begins with have two.
STATES = dict.fromkeys([*list_models(), f"{SSD}@stock", f"{COCO_MODEL}@stock"], "on disk")
# The fast precision where this machine has it.
OTHER = "Fast" if sixteen_bits(torch.device("cpu")) else "Stock"
KEY = f"{COCO_MODEL}@{OTHER.lower()}"
TITLE = get_model_spec(KEY).title


@pytest.fixture(scope="module")
def components(serve) -> str:
    """The picker and the slots alone, and what they give."""
    with gr.Blocks() as blocks:
        picker, slots = ModelPicker(STATES), ModelSlots([COCO_MODEL, SSD], STATES)
        gave = gr.Textbox(label="Gave")
        quiet = {"show_progress": "hidden", "trigger_mode": "always_last"}
        gr.on([picker.select, slots.select], lambda key, keys: f"{key} {keys}", [picker, slots], gave, **quiet)
        elsewhere = gr.Button("Fast elsewhere")
        elsewhere.click(lambda: picker_value(f"{SSD}@fast", STATES, choose=True), None, picker, show_progress="hidden")
    return serve(blocks)


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory):
    """The whole app; of all models, only the built-in ones can be had."""
    home = tmp_path_factory.mktemp("home")
    with machine_without_weights(home):
        engine = LocalEngine()
        yield serve(build_app(engine), **launch_options())
        engine.close()


def choose(place: Locator, precision: str) -> None:
    """A click where the button is seen: the radio itself lies over it, and is invisible."""
    open_variant(place)
    place.locator(".precision label", has_text=precision).click()


@pytest.mark.slow
def test_the_precision_stays_when_the_model_changes_and_goes_where_there_is_no_choice(page, components):
    page.goto(components)
    picker, model = page.locator(".picker"), page.get_by_role("combobox", name="Model", exact=True)
    precision = picker.get_by_role("group", name="Precision")
    open_variant(picker)
    expect(precision.get_by_role("radio")).to_have_count(2)
    choose(picker, "Stock")
    expect(page.get_by_label("Gave")).to_have_value(re.compile(f"^{COCO_MODEL}@stock "))
    expect(picker).to_contain_text("the reference")
    model.select_option(SSD)
    expect(page.get_by_label("Gave")).to_have_value(re.compile(f"^{SSD}@stock "))
    expect(model).to_have_value(SSD)
    model.select_option(FCOS)
    expect(page.get_by_label("Gave")).to_have_value(re.compile(f"^{FCOS} "))
    expect(precision).to_be_hidden()


@pytest.mark.slow
def test_keys_choose_a_precision(page, components):
    page.goto(components)
    open_variant(page.locator(".picker"))
    page.locator(".picker").get_by_role("radio", name="Exact").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Gave")).to_have_value(re.compile(f"^{COCO_MODEL}@stock "))
    expect(page.locator(".picker").get_by_role("radio", name="Stock")).to_be_focused()


@pytest.mark.slow
def test_a_precision_that_the_machine_lacks_is_reported(page, components):
    page.goto(components)
    page.get_by_role("button", name="Fast elsewhere").click()
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value(SSD)
    expect(page.locator(".picker").get_by_role("radio", name="Fast")).to_be_checked()
    expect(page.locator(".picker")).to_contain_text("This machine cannot compute in it")
    choose(page.locator(".picker"), "Exact")
    expect(page.get_by_label("Gave")).to_have_value(re.compile(f"^{SSD} "))
    expect(page.locator(".picker").get_by_role("radio", name="Fast")).to_be_hidden()


@pytest.mark.slow
def test_each_slot_has_its_own_precision(page, components):
    page.goto(components)
    first, second = page.locator(".slots li").first, page.locator(".slots li").nth(1)
    second.get_by_role("combobox").first.select_option(COCO_MODEL)
    expect(page.get_by_label("Gave")).to_have_value(f"{COCO_MODEL} ['{SSD}', '{COCO_MODEL}']")
    choose(first, "Stock")
    first.get_by_role("combobox").first.select_option(COCO_MODEL)
    expect(page.get_by_label("Gave")).to_have_value(f"{COCO_MODEL} ['{COCO_MODEL}@stock', '{COCO_MODEL}']")
    # What the other slot has already changes places.
    choose(second, "Stock")
    expect(page.get_by_label("Gave")).to_have_value(f"{COCO_MODEL} ['{COCO_MODEL}', '{COCO_MODEL}@stock']")
    expect(first.get_by_role("group", name="Precision of model A").get_by_role("radio", name="Exact")).to_be_checked()
    page.get_by_role("button", name="Add a model").click()
    expect(page.locator(".slots li")).to_have_count(3)
    assert page.locator(".slots li .choice select").nth(2).input_value() != COCO_MODEL


def test_a_result_and_its_file_name_the_precision(opened, tmp_path):
    choose(opened.locator(".picker").first, OTHER)
    expect(opened.locator(".dv-model")).to_have_text(TITLE, timeout=30 * SECONDS)
    opened.get_by_role("button", name="Other formats").click()
    with opened.expect_download(timeout=20 * SECONDS) as caught:
        opened.get_by_role("menuitem", name=re.compile("^JSON")).click()
    assert caught.value.suggested_filename == f"grace_hopper_{KEY}.json"
    caught.value.save_as(tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["provenance"]["model"] == KEY


@pytest.mark.slow
def test_a_model_is_compared_with_itself_in_another_precision_and_linked(opened, browser):
    opened.get_by_role("tab", name="Compare").click()
    second = opened.locator(".slots li").nth(1)
    choose(second, OTHER)
    second.get_by_role("combobox").first.select_option(COCO_MODEL)
    titles = opened.locator(".cv-panes .cv-pane-title")
    expect(titles).to_have_text([get_model_spec(COCO_MODEL).title, TITLE], timeout=30 * SECONDS)
    expect(opened.locator(".cv-panes .cv-pane-facts").nth(1)).to_have_text(re.compile(r"^[2-9] objects"), timeout=30 * SECONDS)
    assert [(found["id"], found["nodes"][0]["html"]) for found in Axe().run(opened).response["violations"]] == []
    opened.locator(".cv").get_by_role("button", name="Link").click()
    field = opened.get_by_label("Link to this comparison")
    expect(field).to_be_visible()
    link = field.input_value()
    other = browser.new_context().new_page()
    other.goto(link)
    expect(other.locator(".cv-panes .cv-pane-title")).to_have_text([get_model_spec(COCO_MODEL).title, TITLE], timeout=30 * SECONDS)
    expect(other.locator(".slots li").nth(1).locator(".variant summary")).to_contain_text(OTHER)
    other.context.close()


@pytest.mark.slow
def test_a_link_to_a_precision_that_the_machine_lacks_says_so_and_shows_the_rest(page, address, monkeypatch):
    for where in ("models.prepare", "engine.local"):
        monkeypatch.setattr(f"detection_core.{where}.sixteen_bits", lambda device: None)
    page.goto(f"{address}?tab=compare&image=example:cat&models={SSD}%2540fast,{COCO_MODEL}@stock")
    expect(page.locator(".cv")).to_contain_text("no instructions for numbers of sixteen bits", timeout=30 * SECONDS)
    expect(page.locator(".cv-panes .cv-pane-facts").nth(1)).to_contain_text("object", timeout=30 * SECONDS)
    expect(page.locator(".slots li").first).to_contain_text("This machine cannot compute in it")
