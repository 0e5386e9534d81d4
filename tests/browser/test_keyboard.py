"""The page by keyboard alone: Tab reaches every control of a tab and leaves it again, the focus shows, and names distinguish controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Page, expect

from detection_core.ui.app import build_app, launch_options
from tests.browser.test_manners import batch_result, compare_as, detect_result, live_plain, live_running, video_result
from tests.ui.fake_engine import FakeEngine

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 1000
# Far more than any tab has.
MOST_STEPS = 400

# In the page: which controls there are, what they are called, and how the one with the focus looks.
TOOLS = """() => {
    const CONTROLS = `a[href], button, input, select, textarea, summary, video[controls], [tabindex="0"],
        [role=button], [role=tab], [role=slider], [role=switch], [role=checkbox], [role=radio], [role=menuitem], [role=option]`;
    // In these, arrow keys go from one control to the next, and Tab reaches only one of them.
    const ROVING = "[role=radiogroup], [role=toolbar], [role=tablist], [role=grid], [role=listbox], [role=menu]";
    const ROWS = "tr, li, [role=row], [role=listitem]";
    const GROUPS = `${ROWS}, [role=group], [role=radiogroup], [role=toolbar], [role=tabpanel], [role=region], [role=grid], [role=list],
        [role=dialog], fieldset, section, form, figure, nav, footer`;
    const isThere = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0
        && !node.closest("[inert], [aria-hidden=true]") && !node.disabled;
    const describe = (node) => node.cloneNode(false).outerHTML.slice(0, 200);
    const look = (node) => [node, node.closest("label")].filter(Boolean).map((part) => {
        const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(part);
        return [outline, boxShadow, borderColor, backgroundColor].join();
    }).join();
    const nameOf = (node) => axe.commons.text.accessibleText(node).trim();
    const pathOf = (node) => {
        const names = [];
        for (let each = node.parentElement?.closest(GROUPS); each; each = each.parentElement?.closest(GROUPS)) {
            names.unshift(each.matches(ROWS) ? each.textContent.trim() : nameOf(each));
        }
        return names.filter(Boolean).join(" > ");
    };
    const roleOf = (node) => node.getAttribute("role") ?? (node.matches("input") ? node.type : node.localName);
    const steps = [];
    window.keyboardWalk = {
        /** Puts the focus before everything. */
        begin() {
            const first = document.createElement("button");
            document.body.prepend(first);
            first.focus();
            first.remove();
        },
        /** Notes what has the focus; false once that is nothing, or something for the second time. */
        step() {
            const node = document.activeElement;
            if (!node || node === document.body) return false;
            // The browser's own controls of a video are several stops inside of it.
            if (node.matches("video") && node === steps.at(-1)?.node) return true;
            if (steps.some((each) => each.node === node)) return false;
            steps.push({ node, focused: look(node) });
            return true;
        },
        report() {
            const last = document.activeElement;
            last?.blur();
            const reached = new Set(steps.map(({ node }) => node));
            const isReached = (node) => reached.has(node) || (node.type === "radio"
                ? [...document.getElementsByName(node.name)].some((peer) => reached.has(peer))
                : node.tabIndex < 0 && [...node.closest(ROVING)?.querySelectorAll("*") ?? []].some((peer) => reached.has(peer)));
            const controls = [...document.querySelectorAll(CONTROLS)].filter(isThere);
            axe.setup(document.body);
            const identify = (node) => [pathOf(node), roleOf(node), nameOf(node)].join(" | ");
            const named = Object.groupBy(controls.filter((node) => node.tabIndex >= 0), identify);
            axe.teardown();
            return {
                steps: steps.length,
                trapped: [last].filter((node) => node && node !== document.body && node !== steps[0]?.node).map(describe),
                missed: controls.filter((node) => !isReached(node)).map(describe),
                unseen: steps.filter(({ node, focused }) => look(node) === focused).map(({ node }) => describe(node)),
                nameless: Object.entries(named).filter(([name]) => name.endsWith(" | ")).flatMap(([, nodes]) => nodes.map(describe)),
                same: Object.entries(named).filter(([, nodes]) => nodes.length > 1).map(([name, nodes]) => `${nodes.length} × ${name}`),
            };
        },
    };
}"""
KINDS = ("trapped", "missed", "unseen", "nameless", "same")
# A control for each fault, to be sure that it would be found.
FAULTY = """() => document.body.insertAdjacentHTML("beforeend", `<div id="faulty">
    <button tabindex="-1">missed</button>
    <button style="all: unset">unseen</button>
    <button style="all: unset" onfocus="this.style.outline = '1px solid'" onblur="this.style.outline = ''"></button>
    <button>same</button><button>same</button>
    <button onkeydown="event.preventDefault()">trapped</button><button>after</button>
</div>`)"""


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture(scope="module")
def shared(browser: Browser, serve: Callable[..., str]) -> Iterator[Page]:
    """One page for all tabs, for a visitor who wants no motion."""
    page = browser.new_page(reduced_motion="reduce", viewport={"width": 1440, "height": 900})
    page.goto(serve(build_app(FakeEngine()), **launch_options()))
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
    page.evaluate(AXE_FILE_PATH.read_text("utf-8"))
    yield page
    page.close()


def evaluate_result(page: Page) -> None:
    page.get_by_role("button", name="Evaluate", exact=True).click(timeout=30 * SECONDS)
    expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=60 * SECONDS)


def models_table(page: Page) -> None:
    expect(page.get_by_role("region", name="All models")).to_be_visible()


STATES: list[tuple[str, Callable[[Page], Any]]] = [
    ("Detect", detect_result),
    ("Compare", compare_as("Side by side")),
    ("Live", live_running),
    ("Live", live_plain),
    ("Video", video_result),
    ("Batch", batch_result),
    ("Evaluate", evaluate_result),
    ("Models", models_table),
]


def walk(page: Page) -> dict[str, list[str]]:
    """Presses Tab from the top until the focus leaves the page, and returns what is wrong, by kind."""
    page.evaluate(TOOLS)
    page.evaluate("keyboardWalk.begin()")
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        if not page.evaluate("keyboardWalk.step()"):
            break
    report = page.evaluate("keyboardWalk.report()")
    assert report["steps"] > 10
    return {kind: report[kind] for kind in KINDS}


@pytest.mark.parametrize(("tab", "bring_about"), STATES)
def test_every_control_of_a_tab(shared: Page, tab: str, bring_about: Callable[[Page], Any]):
    shared.get_by_role("tab", name=tab).click()
    bring_about(shared)
    assert walk(shared) == {kind: [] for kind in KINDS}


def test_every_fault_would_be_found(shared: Page):
    shared.get_by_role("tab", name="Models").click()
    models_table(shared)
    shared.evaluate(FAULTY)
    found = walk(shared)
    shared.evaluate("document.getElementById('faulty').remove()")
    assert [len(found[kind]) for kind in KINDS] == [1, 2, 1, 1, 1]
    assert "preventDefault" in found["trapped"][0]
    assert found["same"] == ["2 ×  | button | same"]
