"""What every tab owes its visitors, in every state: keys, visible focus, contrast, names, room on a phone, and no motion if asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Locator, Page, expect

from detection_core.models.catalog import ASSETS
from detection_core.ui.app import build_app, launch_options
from tests.ui.fake_engine import FakeEngine

pytestmark = pytest.mark.browser

SECONDS = 1000
TABS = ("Detect", "Compare", "Live", "Video", "Batch", "Models")
ALL_RULES = {"resultTypes": ["violations"]}
ONLY_CONTRAST = ALL_RULES | {"runOnly": ["color-contrast"]}
COFFEE = ASSETS / "examples" / "coffee.jpg"
TEXT = {"name": "letter.jpg", "mimeType": "image/jpeg", "buffer": b"this is text, not an image"}

# Gradio's footer has its own.
CONTROLS = ":is(a[href], button, input, select, textarea, summary, video[controls], [tabindex='0']):not(footer *)"
# Of every control that is on the page: its name, and its size or that of the label that is clicked in its place.
MEASURE = """controls => controls.filter((node) => node.checkVisibility() && node.getBoundingClientRect().width).map((node) => {
    const boxes = [node, node.closest("label")].filter(Boolean).map((part) => part.getBoundingClientRect());
    return [node.outerHTML.slice(0, 160), Math.max(...boxes.map((box) => box.width)), Math.max(...boxes.map((box) => box.height))];
})"""
# Controls that do not show that they have the focus: nothing about them, their label or their group changes. The swipe's handle is its own.
HIDE_FOCUS = """controls => controls.filter((node) => {
    if (!node.checkVisibility() || node.disabled || node.tabIndex < 0 || node.matches(".cv-swipe")) return false;
    const look = () => [node, node.closest("label"), node.closest(".block")].filter(Boolean).map((part) => {
        const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(part);
        return [outline, boxShadow, borderColor, backgroundColor].join();
    }).join();
    document.activeElement.blur();
    const before = look();
    node.focus({ preventScroll: true });
    return look() === before;
}).map((node) => node.outerHTML.slice(0, 160))"""


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def shared(browser: Browser, serve: Callable[..., str], engine: FakeEngine) -> Iterator[Page]:
    """One page for all states, for a visitor who wants no motion: loading it takes longer than all of them."""
    page = browser.new_page(reduced_motion="reduce", viewport={"width": 1440, "height": 900})
    page.goto(serve(build_app(engine), **launch_options()))
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
    page.evaluate(AXE_FILE_PATH.read_text("utf-8"))
    yield page
    page.close()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


# ---------------------------------------------------------------- the states: each begins wherever the page is


def detect_result(page: Page) -> None:
    button(page, "Coffee").click()
    expect(page.locator(".dv-image").first).to_have_attribute("src", re.compile("coffee"), timeout=20 * SECONDS)
    expect(page.locator(".dv tbody tr:visible")).to_have_count(2)


def detect_menu(page: Page) -> None:
    button(page, "Other formats").press("Enter")
    expect(page.get_by_role("menuitem", name=re.compile("JSON")).first).to_be_focused()


def detect_chosen(page: Page) -> None:
    page.get_by_role("grid", name="Objects").get_by_role("row").nth(1).press("ArrowDown")


def detect_nothing(page: Page) -> None:
    page.locator(".dv-chip:visible").press("Enter")
    expect(button(page, "Show all classes")).to_be_visible()


def detect_download(page: Page) -> None:
    page.get_by_role("combobox", name="Model", exact=True).select_option("maskrcnn_resnet50_fpn_v2")
    expect(button(page, "Download 186 MB and detect")).to_be_visible(timeout=20 * SECONDS)


def detect_error(page: Page) -> None:
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").first.click()
    page.locator("input[type=file]").first.set_input_files(TEXT)
    expect(page.get_by_role("alert").first).to_contain_text("This image cannot be used", timeout=20 * SECONDS)


def compare_as(mode: str) -> Callable[[Page], None]:
    def choose(page: Page) -> None:
        expect(page.locator(".cv-panel")).to_be_visible(timeout=30 * SECONDS)
        button(page, mode).press("Enter")

    return choose


def compare_link(page: Page) -> None:
    button(page, "Link").press("Enter")
    expect(page.get_by_label("Link to this comparison")).to_be_visible()


def live_running(page: Page) -> None:
    button(page, "Start the camera").press("Enter")
    expect(page.locator(".lv-count")).to_contain_text("2 in view", timeout=30 * SECONDS)


def live_stopped(page: Page) -> None:
    if not button(page, "Stop").is_visible():
        live_running(page)
    button(page, "Stop").press("Enter")
    expect(button(page, "Start the camera")).to_be_visible()


def live_plain(page: Page) -> None:
    """Gradio's own camera, for browsers in which ours does not work."""
    if button(page, "Stop").is_visible():
        button(page, "Stop").press("Enter")
    page.get_by_role("button", name="If the camera view does not work here").press("Enter")
    button(page, "Click to Access Webcam").press("Enter")
    expect(button(page, "capture photo")).to_be_visible(timeout=20 * SECONDS)


def video_result(page: Page) -> None:
    button(page, "Try an example").press("Enter")
    expect(page.locator(".vv-words")).to_contain_text(re.compile("frames.*about"), timeout=30 * SECONDS)
    page.locator(".vv-action .dv-primary").press("Enter")
    expect(page.locator(".vv-words")).to_contain_text("processed in", timeout=60 * SECONDS)


def video_menu(page: Page) -> None:
    if not page.locator(".vv").get_by_role("button", name="Download").is_visible():
        video_result(page)
    page.locator(".vv").get_by_role("button", name="Download").press("Enter")
    expect(page.get_by_role("menuitemcheckbox").first).to_be_focused()


def batch_result(page: Page) -> None:
    files = [{"name": f"{name}.jpg", "mimeType": "image/jpeg", "buffer": COFFEE.read_bytes()} for name in ("one", "two")]
    # The tab's module, which is loaded when the tab is opened, writes it, and takes files from then on.
    expect(page.get_by_text(re.compile(r"^Up to \d+ images at a time"))).to_be_visible(timeout=30 * SECONDS)
    page.get_by_label("Images", exact=True).and_(page.locator("input")).set_input_files([*files, TEXT])
    expect(page.locator(".bv-card[data-state=done]")).to_have_count(2, timeout=20 * SECONDS)
    expect(page.locator(".bv-card[data-state=failed]")).to_have_count(1, timeout=20 * SECONDS)


def batch_menu(page: Page) -> None:
    if not page.locator(".bv-card").first.is_visible():
        batch_result(page)
    page.locator(".bv").get_by_role("button", name="Download").press("Enter")
    expect(page.get_by_role("menuitemcheckbox").first).to_be_focused()


def press(name: str) -> Callable[[Page], None]:
    return lambda page: button(page, name).press("Enter")


STATES: dict[str, dict[str, Callable[[Page], Any]]] = {
    "Detect": {
        "result": detect_result,
        "menu": detect_menu,
        "object chosen": detect_chosen,
        "no object": detect_nothing,
        "model to download": detect_download,
        "error": detect_error,
    },
    "Compare": {
        "result": compare_as("Side by side"),
        "swipe": compare_as("Swipe"),
        "difference": compare_as("Difference"),
        "consensus": compare_as("Consensus"),
        "own thresholds": compare_as("Each its own"),
        "link": compare_link,
    },
    "Live": {"empty": lambda page: None, "running": live_running, "stopped": live_stopped, "plain stream": live_plain},
    "Video": {"empty": lambda page: None, "result": video_result, "menu": video_menu},
    "Batch": {"empty": lambda page: None, "gallery": batch_result, "menu": batch_menu, "table": press("Table")},
    "Models": {"table": lambda page: expect(page.get_by_role("region", name="All models")).to_be_visible()},
}
# Of each tab, the state that has most in it.
QUICK = {("Detect", "result"), ("Compare", "result"), ("Live", "running"), ("Batch", "gallery")}
CASES = [(tab, state) for tab, states in STATES.items() for state in states]


@pytest.mark.parametrize(("tab", "state"), [pytest.param(*case, marks=[pytest.mark.slow] * (case not in QUICK)) for case in CASES])
def test_every_state_is_for_everybody(shared, tab, state):
    shared.keyboard.press("Escape")
    shared.set_viewport_size({"width": 390, "height": 844})
    shared.get_by_role("tab", name=tab).click()
    STATES[tab][state](shared)
    faults: list[Any] = axe(shared, ALL_RULES)
    shared.evaluate("document.body.classList.add('dark')")
    faults += axe(shared, ONLY_CONTRAST)
    shared.evaluate("document.body.classList.remove('dark')")
    faults += [control for control in shared.locator(CONTROLS).evaluate_all(MEASURE) if min(control[1:]) < 24]
    faults += shared.evaluate("document.getAnimations().map((animation) => animation.effect.target.outerHTML)")
    for width in (390, 320):
        shared.set_viewport_size({"width": width, "height": 844})
        faults += [width] * (shared.evaluate("document.scrollingElement.scrollWidth") > width)
    shared.keyboard.press("Shift")
    faults += shared.locator(CONTROLS).evaluate_all(HIDE_FOCUS)
    assert faults == []


def axe(page: Page, options: dict[str, Any]) -> list[tuple[str, str, str]]:
    violations = page.evaluate("options => axe.run(options)", options)["violations"]
    return [(violation["id"], violation["nodes"][0]["html"], violation["nodes"][0]["failureSummary"]) for violation in violations]
