"""The Evaluate tab in a browser: the sample's results, thresholds without the server, objects behind a number, and their images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL
from detection_core.ui.components.modules import MODULES
from detection_core.ui.evaluate.tab import EvaluateTab
from detection_core.ui.theme import CSS, theme
from tests.ui.evaluate.test_tab import IMAGES, OBJECTS, find_all
from tests.ui.fake_engine import FakeEngine

pytestmark = pytest.mark.browser
SECONDS = 1000


@pytest.fixture(scope="module")
def address(serve: Callable[..., str]) -> str:
    tab = EvaluateTab(FakeEngine(find_all))
    with gr.Blocks(title="Evaluate") as page:
        gr.HTML("<h1>Evaluate</h1>")
        tab.layout()
        tab.wire(page)
    return serve(page, theme=theme(), css=CSS, app_kwargs={"routes": [MODULES.route()]})


@pytest.fixture(scope="module")
def evaluated(module_context: BrowserContext, address: str) -> Iterator[Page]:
    """The page with the results of two models, which tests leave as they find it."""
    page = module_context.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(address)
    page.get_by_role("button", name="Add a model").click(timeout=30 * SECONDS)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=30 * SECONDS)
    yield page
    page.close()


def test_the_sample_is_evaluated_at_the_first_click(evaluated):
    expect(evaluated.locator(".data")).to_contain_text(f"{IMAGES} images, {OBJECTS} objects")
    rows = evaluated.get_by_role("region", name="Accuracy and cost of the models").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("1.000")
    expect(evaluated.locator(".dv-notes")).to_contain_text("mean little")
    evaluated.get_by_text("Average recall by number of detections").click()
    recalls = evaluated.get_by_role("region", name="Average recall of the models").locator("tbody tr").first.locator("td")
    expect(recalls).to_have_count(6)
    # Each with its interval.
    expect(recalls.locator("small").filter(has_text="–")).not_to_have_count(0)


def test_thresholds_move_without_the_server(evaluated):
    requests: list[str] = []
    listen = lambda request: requests.append(request.url)  # noqa: E731
    slider = evaluated.get_by_role("slider", name="Threshold of model A")
    row = evaluated.get_by_role("region", name="Precision and recall").locator("tbody tr").first
    matrix = evaluated.get_by_role("region", name="Confusion matrix")
    unmatched = matrix.get_by_role("button", name=f"nothing detected as person: {IMAGES} of {IMAGES}")
    precision = evaluated.get_by_role("region", name="Figures of each class").get_by_role("row", name="person").locator("td").nth(-3)
    expect(unmatched).to_be_visible()
    expect(precision).not_to_have_text("1.000")
    evaluated.on("request", listen)
    slider.fill("0.5")
    expect(row).to_contain_text("1.000")
    expect(precision).to_have_text("1.000")
    expect(unmatched).to_have_count(0)
    took = evaluated.evaluate("[...document.querySelectorAll('*')].map((node) => node.evaluateHook).find(Boolean).lastRedrawMs")
    slider.fill("0.2")
    expect(unmatched).to_be_visible()
    evaluated.get_by_role("button", name="Best 0.").first.click()
    expect(unmatched).to_have_count(0)
    slider.fill("0.2")
    evaluated.remove_listener("request", listen)
    assert requests == []
    assert took > 0


def test_a_cell_shows_its_objects_and_they_their_images(evaluated):
    evaluated.get_by_role("button", name="cat detected as cat: 1 of 1").click()
    crops = evaluated.locator("[data-ref=cellList] .ev-crop")
    expect(crops).to_have_count(1)
    expect(crops.locator("img")).to_have_count(1, timeout=10 * SECONDS)
    expect(crops.locator("rect")).to_have_count(4)
    crops.first.click()
    dialog = evaluated.get_by_role("dialog")
    expect(dialog).to_contain_text("1 object annotated, 2 detected", timeout=10 * SECONDS)
    assert dialog.locator("img.dv-image").evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 451
    boxes = dialog.locator(".dv-layer-boxes > :not([hidden])")
    expect(boxes).to_have_count(3)
    # What was detected and what it finds, but no false positives.
    expect(dialog.locator(".dv-layer-boxes > .dv-active")).to_have_count(2)
    dialog.get_by_role("button", name="Annotated").click()
    expect(boxes).to_have_count(2)
    dialog.get_by_role("button", name="Annotated").click()
    evaluated.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.slow
def test_the_object_in_question_is_in_the_middle_and_keys_lead_to_the_next(evaluated):
    evaluated.get_by_role("button", name="nothing detected as person").click()
    crops = evaluated.locator("[data-ref=cellList] .ev-crop")
    number = crops.count()
    assert number > 2
    crops.first.click()
    dialog = evaluated.get_by_role("dialog")
    previous, following = (dialog.get_by_role("button", name=name, exact=True) for name in ("Previous", "Next"))
    seen = []
    for place in range(1, number + 1):
        expect(dialog).to_contain_text(f"{place} of {number}")
        active = dialog.locator(".dv-layer-boxes > .ev-detected.dv-active")
        expect(active).to_have_count(1, timeout=10 * SECONDS)
        frame, box = dialog.locator(".dv-frame").bounding_box(), active.bounding_box()
        zoom = dialog.get_by_role("button", name="Fit to the view").inner_text()
        seen.append((box["x"], box["y"], box["width"], zoom))
        if zoom != "100%":
            # At an edge of the image it is as near to the middle as the image allows.
            assert frame["x"] - 5 <= box["x"] <= box["x"] + box["width"] <= frame["x"] + frame["width"] + 5
        evaluated.keyboard.press("n")
    assert len(set(seen)) > 1
    expect(following).to_be_disabled()
    evaluated.keyboard.press("p")
    expect(dialog).to_contain_text(f"{number - 1} of {number}")
    previous.click()
    expect(dialog).to_contain_text(f"{number - 2} of {number}")
    # Whole again, the arrows go through the objects of the image.
    dialog.get_by_role("button", name="Fit to the view").click()
    dialog.locator(".dv-frame").focus()
    evaluated.keyboard.press("ArrowRight")
    expect(dialog.locator("[data-ref=imageSaid]")).to_contain_text(" of ")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    evaluated.get_by_role("button", name="nothing detected as person").click()


def test_tables_are_sorted_by_a_click(evaluated):
    table = evaluated.get_by_role("region", name="Figures of each class")
    first = table.locator("tbody tr").first
    expect(first).to_contain_text("horse")
    table.get_by_role("button", name="Class").click()
    expect(first).to_contain_text("bottle")
    table.get_by_role("button", name="Class").click()
    expect(first).to_contain_text("wine glass")


def test_what_only_one_model_finds_is_shown(evaluated):
    evaluated.get_by_role("button", name="Only A finds").click()
    section = evaluated.get_by_role("region", name="Two models compared")
    expect(section.get_by_role("heading", name="Only A finds")).to_be_visible()
    expect(section).to_contain_text("McNemar")
    expect(section.locator(".ev-images .ev-crop")).not_to_have_count(0)


def test_a_class_can_be_left_out(evaluated):
    evaluated.locator("[data-ref=mappings] summary").first.click()
    evaluated.get_by_label("The data's class for horse of").first.select_option("")
    evaluated.get_by_role("button", name="Apply the mapping").click()
    summary = evaluated.locator("[data-ref=mappings] summary").first
    expect(summary).to_contain_text("not detected: horse", timeout=20 * SECONDS)
    expect(summary).to_contain_text("left out: ")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(page, address, scheme):
    page.goto(f"{address}?__theme={scheme}")
    page.get_by_role("button", name="Evaluate", exact=True).click(timeout=30 * SECONDS)
    expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=30 * SECONDS)
    # As the whole page does with the footer.
    page.evaluate("document.querySelectorAll('footer img').forEach((image) => { image.alt = ''; })")
    violations = Axe().run(page).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 320])
def test_phones_have_no_sideways_scroll(page, address, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(address)
    page.get_by_role("button", name="Evaluate", exact=True).click(timeout=30 * SECONDS)
    expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=30 * SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_models_are_those_of_the_sample(evaluated):
    titles = evaluated.evaluate("[...document.querySelectorAll('.slots .choice select')].map((select) => select.value)")
    assert titles == [COCO_MODEL, PERSON_MODEL]
