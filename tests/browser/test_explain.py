"""The mode Explain as a visitor meets it, in real Chromium, on the built-in model."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from detection_core.engine import LocalEngine
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.shared.examples import EXAMPLE_PATHS, warm_up

pytestmark = pytest.mark.browser

PATIENCE = 30_000
# In pixels of the first example: above the person, and about where a weaker tie was suppressed.
EMPTY = (300.0, 5.0)
TIE_BOX = (206, 360, 294, 504)


@pytest.fixture(scope="module")
def address(serve):
    assert EXAMPLE_PATHS[0].stem == "grace_hopper"
    engine = LocalEngine()
    warm_up(engine)
    yield serve(build_app(engine), **launch_options())
    engine.close()


@pytest.fixture
def panel(opened: Page) -> Locator:
    """The panel of the mode, entered."""
    opened.get_by_role("button", name="Explain", exact=True).click()
    panel = opened.get_by_role("region", name="Explain")
    expect(panel).to_be_visible(timeout=PATIENCE)
    return panel


def on_page(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is on the page."""
    box = page.locator(".dv-image").first.bounding_box()
    width = page.locator(".dv-image").first.evaluate("image => image.naturalWidth")
    assert box is not None
    return box["x"] + x * box["width"] / width, box["y"] + y * box["width"] / width


def sentence(panel: Locator) -> Locator:
    return panel.locator(".dv-explain-sentence:visible")


def test_an_empty_place_a_suppressed_box_and_its_suppressor(opened, panel):
    page = opened
    page.mouse.click(*on_page(page, *EMPTY))
    expect(sentence(panel)).to_contain_text("The model had no candidate here with a score above")
    page.mouse.move(*on_page(page, *TIE_BOX[:2]))
    page.mouse.down()
    page.mouse.move(*on_page(page, *TIE_BOX[2:]), steps=3)
    page.mouse.up()
    expect(sentence(panel)).to_have_text(re.compile(r"tie 0\.\d+\. It was suppressed by tie 0\.\d+, which it overlaps with an IoU of"))
    expect(panel.get_by_text("Candidates here, best first")).to_be_visible()
    expect(page.locator(".dv-explain-overlay .dv-mark-suppressor").first).to_be_visible()
    panel.locator(".dv-explain-by button").first.click()
    expect(sentence(panel)).to_contain_text("It suppressed")
    expect(panel.get_by_text("From anchor to box")).to_be_visible()
    expect(panel.get_by_text(re.compile(r"The model runs 500 times .* about \d+ (second|minute)"))).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_focused()
    # Clicks select again.
    page.mouse.click(*on_page(page, 250, 200))
    expect(page.locator(".dv tbody tr[aria-selected=true]")).to_have_count(1)


@pytest.mark.slow
def test_other_settings_and_stages_by_keyboard_on_a_phone(opened, panel):
    page = opened
    page.set_viewport_size({"width": 320, "height": 800})
    panel.get_by_text("Give a box in numbers").click()
    for name, value in zip(("Left", "Top", "Right", "Bottom"), TIE_BOX, strict=True):
        panel.get_by_label(name, exact=True).fill(str(value))
    page.keyboard.press("Enter")
    expect(sentence(panel)).to_contain_text("suppressed by tie")
    panel.get_by_role("button", name="What if?").press("Enter")
    expect(sentence(panel)).to_contain_text("the same as with the model's own settings")
    panel.get_by_label(re.compile("NMS IoU")).fill("1")
    expect(sentence(panel)).to_contain_text("more appear")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    panel.get_by_role("button", name="Stages").press("Enter")
    for step in range(1, 7):
        expect(sentence(panel)).to_contain_text(f"Step {step} of 7")
        panel.get_by_role("button", name="Next").click()
    expect(panel.get_by_role("button", name="Next")).to_be_disabled()
    expect(panel.get_by_text(re.compile("of them are above your threshold"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Axe().run(page).response["violations"] == []


@pytest.mark.slow
def test_a_saliency_map_says_how_far_it_is_and_can_be_cancelled(opened, panel):
    panel.get_by_label("Why this object?").select_option(index=1)
    panel.get_by_role("button", name="Compute the map").click()
    expect(panel.get_by_text(re.compile(r"\d+ of 500 runs, about"))).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_text("Cancelled.")).to_be_visible()
    expect(panel.get_by_role("button", name="Compute the map")).to_be_visible()
