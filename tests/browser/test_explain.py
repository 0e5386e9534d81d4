"""The mode Explain as a visitor meets it, in real Chromium, on the built-in model."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from detection_core.ui.app import build_app, launch_options
from detection_core.ui.shared.examples import EXAMPLE_PATHS, warm_up
from tests.browser.variant import open_variant
from tests.explanation.small_cat import TILE, small_cat

pytestmark = pytest.mark.browser

PATIENCE = 30_000
# In pixels of the first example: above the person, and about where a weaker tie was suppressed.
EMPTY = (300.0, 5.0)
TIE_BOX = (206, 360, 294, 504)


@pytest.fixture(scope="module")
def address(serve, new_engine):
    assert EXAMPLE_PATHS[0].stem == "grace_hopper"
    engine = new_engine()
    warm_up(engine)
    yield serve(build_app(engine), **launch_options())
    engine.close()


@pytest.fixture
def panel(opened: Page) -> Locator:
    """The panel of the mode, entered."""
    return enter(opened)


def enter(page: Page) -> Locator:
    page.get_by_role("button", name="Explain", exact=True).click()
    panel = page.get_by_role("region", name="Explain")
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
    expect(sentence(panel)).to_have_text(re.compile(r"tie 0\.\d+\. It was suppressed by tie 0\.\d+: their overlap \(IoU\) is 0"))
    expect(panel.get_by_text("Candidates here, best first")).to_be_visible()
    expect(page.locator(".dv-explain-overlay .dv-mark-suppressor").first).to_be_visible()
    panel.locator(".dv-explain-by button").first.click()
    expect(sentence(panel)).to_contain_text("It suppressed")
    expect(panel.get_by_text("From anchor to box")).to_be_visible()
    expect(panel.get_by_text(re.compile(r"the model runs 500 times .* about \d+ (second|minute)"))).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="Explain", exact=True)).to_be_focused()
    # Clicks select again.
    page.mouse.click(*on_page(page, 250, 200))
    expect(page.locator(".dv tbody tr[aria-selected=true]")).to_have_count(1)
    page.get_by_role("button", name="Explain", exact=True).click()
    expect(sentence(panel)).to_contain_text("This person 0.")


@pytest.mark.slow
def test_other_settings_and_stages_by_keyboard_on_a_phone(opened, panel):
    page = opened
    page.set_viewport_size({"width": 320, "height": 800})
    panel.get_by_text("Enter a box as numbers").click()
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
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_if_and_stages(page, address, scheme):
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}?__theme={scheme}")
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    panel = enter(page)
    panel.get_by_text("What the words mean").click()
    panel.get_by_role("button", name="What if?").click()
    expect(sentence(panel)).to_contain_text("the same as with the model's own settings")
    assert Axe().run(page).response["violations"] == []
    panel.get_by_label(re.compile("NMS IoU")).fill("1")
    expect(sentence(panel)).to_contain_text("more appear")
    assert Axe().run(page).response["violations"] == []
    panel.get_by_role("button", name="Stages").click()
    for step in range(1, 8):
        expect(sentence(panel)).to_contain_text(f"Step {step} of 7")
        assert Axe().run(page).response["violations"] == [], step
        if step < 7:
            panel.get_by_role("button", name="Next").click()


@pytest.mark.slow
def test_a_saliency_map_says_how_far_it_is_and_can_be_cancelled(opened, panel):
    panel.get_by_label("Why this object?").select_option(index=1)
    expect(panel.get_by_text(re.compile(r"^Quick: .* once, forward and back: about \d+ second"))).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="Quick").click()
    expect(panel.get_by_text("Bright parts affect")).to_be_visible(timeout=PATIENCE)
    expect(opened.locator(".dv-explain-overlay image")).to_have_count(1)
    panel.get_by_role("button", name="Thorough (D-RISE)").click()
    expect(panel.get_by_text(re.compile(r"\d+ of 500 runs, about"))).to_be_visible(timeout=PATIENCE)
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_text("Cancelled.")).to_be_visible()
    expect(panel.get_by_role("button", name="Thorough (D-RISE)")).to_be_visible()


@pytest.mark.slow
def test_a_place_is_asked_about_by_keyboard(opened, panel):
    page = opened
    frame = page.locator(".dv-frame").first
    said = page.locator(".dv .dv-sr").first
    frame.focus()
    assert "Enter asks" in (frame.get_attribute("aria-label") or "")
    frame.press("ArrowUp")
    # The middle of the first example is on the person.
    expect(said).to_have_text(re.compile(r"^\d+ from the left, \d+ from the top: person 0\.\d+$"))
    for _ in range(30):
        frame.press("ArrowUp")
    expect(said).to_have_text(re.compile(r"^\d+ from the left, 0 from the top$"))
    frame.press("Enter")
    expect(sentence(panel)).to_contain_text("The model had no candidate here with a score above")
    expect(page.locator(".dv-explain-overlay .dv-mark-asked")).to_have_count(1)
    for key in ["ArrowDown", *["Shift+ArrowRight"] * 3, *["Shift+ArrowDown"] * 4]:
        frame.press(key)
    expect(said).to_have_text(re.compile(r"^Box of 3\d by 4\d pixels, \d+ from the left and 1\d from the top$"))
    frame.press("Enter")
    expect(panel.get_by_label("Left", exact=True)).to_have_value(re.compile(r"\d+"))
    expect(sentence(panel)).to_contain_text(re.compile("overlaps this box|best candidate"))
    expect(frame).to_be_focused()
    frame.press("Escape")
    expect(panel).to_be_hidden()
    assert "left and right choose objects" in (frame.get_attribute("aria-label") or "")


@pytest.mark.slow
def test_panning_and_pinching_ask_nothing(opened, panel):
    page = opened
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "component_server" in request.url else None)
    zoom = page.get_by_role("button", name=re.compile("^Fit|%$")).first
    client = page.context.new_cdp_session(page)
    left, top = on_page(page, 200, 250)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", (left, top))
    touch("touchStart", (left, top), (left + 60, top))
    touch("touchMove", (left - 40, top), (left + 100, top))
    touch("touchEnd")
    expect(zoom).not_to_have_text("100%")
    box = page.locator(".dv-frame").first.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = page.locator(".dv-image").first.evaluate("image => image.style.transform")
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1] + 40, steps=4)
    # Back to where it began: it moved all the same.
    page.mouse.move(*middle, steps=4)
    page.mouse.move(middle[0] + 30, middle[1], steps=4)
    page.mouse.up()
    assert page.locator(".dv-image").first.evaluate("image => image.style.transform") != before
    assert not asked
    page.mouse.click(*middle)
    expect(sentence(panel)).not_to_be_empty()
    assert len([sent for sent in asked if "explain_ask" in sent]) == 1
    page.keyboard.down("Shift")
    page.mouse.move(middle[0] - 60, middle[1] - 60)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 60, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(panel.get_by_label("Left", exact=True)).to_have_value(re.compile(r"\d+"))
    assert len([sent for sent in asked if "explain_ask" in sent]) == 2


@pytest.mark.slow
def test_an_object_that_only_a_slice_shows_is_explained_in_the_slice(opened, tmp_path):
    page = opened
    small_cat(2.5).save(tmp_path / "cat.png")
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").first.click()
    page.locator("input[type=file][accept*=image]").first.set_input_files(tmp_path / "cat.png")
    open_variant(page.locator(".picker").first)
    page.get_by_role("combobox", name="Slices", exact=True).first.select_option("Slices of 320 px")
    expect(page.get_by_role("img", name="Found in slices only").first).to_be_visible(timeout=PATIENCE)
    panel = enter(page)
    cat = page.locator(".dv-image").first
    page.mouse.click(*on_page(page, 400, 134))
    expect(sentence(panel)).to_contain_text(re.compile(r"^Only a slice of the image shows this cat 0\.\d+\. In the whole image: "))
    assert Axe().run(page).response["violations"] == []
    panel.get_by_role("button", name="Explain the slice").click()
    expect(sentence(panel)).to_have_text(re.compile(r"^This cat 0\.\d+ began as an anchor"), timeout=PATIENCE)
    expect(panel.get_by_text("This explains one slice of the image")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    panel.get_by_role("button", name="Quick").click()
    expect(panel.get_by_text("Bright parts affect")).to_be_visible(timeout=PATIENCE)
    shown, whole = page.locator(".dv-explain-overlay image").bounding_box(), cat.bounding_box()
    assert shown is not None
    assert whole is not None
    left, _, right, _ = (side / 332 for side in TILE)
    assert (shown["x"], shown["width"]) == pytest.approx((whole["x"] + left * whole["width"], (right - left) * whole["width"]), abs=2)
    panel.get_by_role("button", name="Back to the whole image").click()
    expect(panel.get_by_text("This explains one slice of the image")).to_be_hidden()
    page.mouse.click(*on_page(page, 400, 134))
    expect(sentence(panel)).to_contain_text("Only a slice")
