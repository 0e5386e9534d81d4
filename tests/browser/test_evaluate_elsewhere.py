"""What is chosen in the Evaluate tab and taken elsewhere: a model's threshold by the other tabs, and all choices by a link."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from detection_core.engine import LocalEngine
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL
from detection_core.ui.app import build_app, launch_options
from tests.video.io.videos import make_video

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 1000


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture(scope="module")
def address(serve) -> Iterator[str]:
    engine = LocalEngine()
    yield serve(build_app(engine), **launch_options())
    engine.close()


@pytest.fixture(scope="module")
def evaluated(browser: Browser, address: str) -> Iterator[Page]:
    """The whole page with both built-in models evaluated, before another tab has been opened."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    open_tab(page, "Evaluate")
    page.locator(".slots").last.get_by_role("button", name="Add a model").click()
    evaluate(page)
    yield page
    page.close()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click(timeout=30 * SECONDS)


def evaluate(page: Page) -> None:
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=120 * SECONDS)


def use(page: Page, threshold: str) -> None:
    """Carries a threshold of both models into the other tabs."""
    open_tab(page, "Evaluate")
    for letter in "AB":
        page.get_by_role("slider", name=f"Threshold of model {letter}").fill(threshold)
    for button in page.get_by_role("button", name="Use it").all():
        button.click()


def in_slider(page: Page, view: str, threshold: str) -> None:
    expect(page.locator(f".{view} [data-ref=threshold] input")).to_have_value(threshold, timeout=60 * SECONDS)


def test_use_it_gives_the_other_tabs_a_models_threshold(evaluated, tmp_path):
    """Tabs that are opened later start with it, and those that have been used already take it at once."""
    use(evaluated, "0.55")
    open_tab(evaluated, "Detect")
    in_slider(evaluated, "dv:not(.ev, .cv, .lv, .vv, .bv)", "0.55")
    open_tab(evaluated, "Compare")
    expect(evaluated.locator(".cv").get_by_text("from 0.55")).to_have_count(2, timeout=60 * SECONDS)
    open_tab(evaluated, "Batch")
    images = evaluated.get_by_label("Images", exact=True).and_(evaluated.locator("input"))
    images.set_input_files(ASSETS / "examples" / "coffee.jpg")
    expect(evaluated.locator(".bv-card[data-state=done]")).to_have_count(1, timeout=60 * SECONDS)
    in_slider(evaluated, "bv", "0.55")
    open_tab(evaluated, "Video")
    evaluated.get_by_label("Video", exact=True).set_input_files(make_video(tmp_path / "walk.mp4", size=(160, 96)))
    in_slider(evaluated, "vv", "0.55")
    open_tab(evaluated, "Live")
    evaluated.get_by_role("button", name="Start the camera").click()
    expect(evaluated.locator(".lv .dv-panel")).to_be_visible(timeout=60 * SECONDS)
    in_slider(evaluated, "lv", "0.55")

    use(evaluated, "0.7")
    for name, view in {"Detect": "dv:not(.ev, .cv, .lv, .vv, .bv)", "Batch": "bv", "Video": "vv", "Live": "lv"}.items():
        open_tab(evaluated, name)
        in_slider(evaluated, view, "0.7")
    open_tab(evaluated, "Compare")
    expect(evaluated.locator(".cv").get_by_text("from 0.70")).to_have_count(2, timeout=20 * SECONDS)


def test_a_link_brings_back_models_thresholds_iou_and_class(evaluated, browser):
    use(evaluated, "0.6")
    evaluated.get_by_label("IoU of a match").select_option("0.75")
    expect(evaluated.locator("[data-ref=status]:visible")).to_have_count(0, timeout=20 * SECONDS)
    evaluated.locator("select[data-ref=classChoice]").select_option(label="person (2)")
    evaluated.get_by_role("slider", name="Threshold of model A").fill("0.33")
    evaluated.get_by_role("button", name="Link", exact=True).click()
    link = evaluated.get_by_label("Link to this evaluation").input_value()
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(link)
    expect(page.get_by_text("The link has set models")).to_be_visible(timeout=60 * SECONDS)
    models = page.locator(".slots").get_by_role("combobox", name=re.compile(r"^Model [A-D]$"))
    expect(models).to_have_count(2)
    assert [model.input_value() for model in models.all()] == [COCO_MODEL, PERSON_MODEL]
    evaluate(page)
    expect(page.get_by_label("IoU of a match")).to_have_value("0.75")
    expect(page.locator("select[data-ref=classChoice]").locator("option:checked")).to_have_text("person (2)")
    expect(page.get_by_role("slider", name="Threshold of model A")).to_have_value("0.33")
    page.locator("select[data-ref=classChoice]").select_option("")
    expect(page.get_by_role("slider", name="Threshold of model A")).to_have_value("0.6")
    page.close()
