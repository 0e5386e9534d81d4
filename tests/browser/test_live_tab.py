"""The camera in the whole page, with the built-in model: people are found, nothing is stored, and a visitor who leaves frees the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from detection_core.engine import LocalEngine
from detection_core.ui.app import build_app, launch_options
from tests.browser.errors import no_errors

pytestmark = pytest.mark.browser

SECONDS = 1000
STATS = "[...document.querySelectorAll('*')].find((node) => node.liveStats).liveStats"


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where Gradio puts files."""
    folder = tmp_path_factory.mktemp("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(serve, engine: LocalEngine, files: Path) -> str:
    return serve(build_app(engine), **launch_options())


@pytest.fixture
def live(page: Page, address: str) -> Iterator[Page]:
    """The camera with the first results."""
    page.set_viewport_size({"width": 1440, "height": 900})
    with no_errors(page):
        page.goto(address)
        page.get_by_role("tab", name="Live").click()
        page.get_by_role("button", name="Start the camera").click()
        wait_for_answers(page, 2)
        yield page


def wait_for_answers(page: Page, more: int) -> None:
    before = page.evaluate(f"{STATS}.answers")
    page.wait_for_function(f"{STATS}.answers >= {before + more}", timeout=60 * SECONDS)


def visible(page: Page, layer: str) -> Any:
    return page.locator(f".lv .dv-layer-{layer} .dv-object:not([hidden])")


def test_people_are_found_in_the_moving_image_and_nothing_is_stored(live: Page, files: Path):
    for layer in ("boxes", "contours", "skeletons"):
        expect(visible(live, layer).first).to_be_attached(timeout=20 * SECONDS)
    expect(live.get_by_text("in view").first).to_be_visible()
    expect(live.locator(".lv .dv-label:not([hidden])").first).to_contain_text("person #")
    before = sorted(files.rglob("*"))
    wait_for_answers(live, 5)
    assert sorted(files.rglob("*")) == before


@pytest.mark.slow
def test_stopping_frees_the_engine(live: Page, engine: LocalEngine):
    live.get_by_role("button", name="Stop").click()
    expect(live.get_by_role("button", name="Start the camera")).to_be_visible()
    wait_until_idle(live, engine)


@pytest.mark.slow
def test_a_frame_opens_in_detect(live: Page):
    expect(visible(live, "boxes").first).to_be_attached(timeout=20 * SECONDS)
    live.get_by_role("button", name="Open this frame in Detect").click()
    expect(live.get_by_role("tab", name="Detect")).to_have_attribute("aria-selected", "true", timeout=20 * SECONDS)
    expect(live.locator(".dv-count").first).to_contain_text("person", timeout=30 * SECONDS)


@pytest.mark.slow
def test_another_model_continues_where_the_first_was(live: Page):
    # The same model under another turn: no other is here without a download.
    before = live.evaluate(f"{STATS}.answers")
    live.get_by_role("combobox", name="Model", exact=True).select_option("ssdlite320_mobilenet_v3_large")
    expect(live.get_by_text("This model is not downloaded yet")).to_be_visible()
    live.get_by_role("combobox", name="Model", exact=True).select_option("person_mobilenet_v2_fpn")
    live.get_by_role("button", name="Start the camera").click()
    wait_for_answers(live, 2)
    assert live.evaluate(f"{STATS}.answers") > before


def test_a_page_that_is_closed_frees_the_engine(page: Page, live: Page, engine: LocalEngine):
    other = page.context.new_page()
    page.close()
    wait_until_idle(other, engine)
    other.close()


@pytest.mark.slow
def test_where_the_camera_view_does_not_work_there_is_a_plain_stream(page: Page, address: str):
    page.goto(address)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="If the camera view does not work here").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.get_by_role("button", name="capture photo").click()
    expect(page.get_by_text("1 person").locator("visible=true").first).to_be_visible(timeout=60 * SECONDS)
    expect(page.locator("img[src*='frame']").locator("visible=true")).to_have_count(1, timeout=20 * SECONDS)


def wait_until_idle(page: Page, engine: LocalEngine) -> None:
    """Until no image has been processed for half a second."""
    quiet = 0
    for _ in range(200):
        quiet = 0 if engine.jobs_of_others("") else quiet + 1
        if quiet == 10:
            return
        page.wait_for_timeout(50)
    raise AssertionError("the engine is still busy")
