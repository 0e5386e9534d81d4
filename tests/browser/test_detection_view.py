"""DetectionView as a visitor meets it, in real Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from detection_core.detections import Detections
from detection_core.ui.detect.view import (
    DetectionView,
    ViewMessage,
    ViewSettings,
    download_payload,
    error_payload,
    status_payload,
    view_payload,
)
from detection_core.ui.theme import CSS, theme
from tests.factories import make_detections

pytestmark = pytest.mark.browser

SIZE = (300, 400)
SCRIPT_NAME = "<img src=x onerror='window.hacked=1'>"
NAMES = ("__background__", "person", "dog", "car", SCRIPT_NAME)


def first_detections() -> Detections:
    """Three objects apart from each other: person 0.95, dog 0.80 and a person inside the first, 0.60; one car at 0.305."""
    keep = make_detections(4, image_size=SIZE, masks=True, keypoints=True, categories=NAMES, labels=[1, 2, 1, 3], model="first")
    boxes = np.array([[20, 40, 180, 280], [220, 60, 380, 200], [60, 100, 120, 200], [220, 220, 380, 290]], np.float32)
    keypoints = (keep.keypoints - keep.boxes[:, None, :2]) / (keep.boxes[:, 2:] - keep.boxes[:, :2])[:, None]
    keypoints = boxes[:, None, :2] + keypoints * (boxes[:, 2:] - boxes[:, :2])[:, None]
    scores = np.array([0.95, 0.8, 0.6, 0.305], np.float32)
    logits = np.tile(np.linspace(-2, 12, 17, dtype=np.float32), (4, 1))
    return Detections(
        boxes, keep.labels, scores, SIZE, NAMES, masks=keep.masks, keypoints=keypoints, keypoint_scores=logits,
        keypoint_names=keep.keypoint_names, model="first",
    )  # fmt: skip


def only_persons_have_keypoints() -> Detections:
    """The first result, of another model, where dog and car have no keypoints and the second person's are all unsure."""
    found = first_detections()
    assert found.keypoints is not None
    assert found.keypoint_scores is not None
    points, logits = found.keypoints.copy(), found.keypoint_scores.copy()
    logits[2] = 0
    points[found.labels != 1], logits[found.labels != 1] = np.nan, np.nan
    return replace(found, keypoints=points, keypoint_scores=logits, model="persons")


@pytest.fixture(scope="module")
def app_url(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    image = tmp_path_factory.mktemp("images") / "gray.png"
    Image.new("RGB", SIZE[::-1], (120, 130, 140)).save(image)
    return serve(build_app(image), theme=theme(), css=CSS, allowed_paths=[str(image.parent)])


def build_app(image: Path) -> gr.Blocks:
    results = {
        "first": lambda: view_payload(first_detections(), image, title="First", threshold=0.5, floor=0.05, timings={"network": 1234.0}),
        "fast": lambda: view_payload(make_detections(2, image_size=SIZE, model="first@fast"), image, threshold=0.5, floor=0.05),
        "persons": lambda: view_payload(only_persons_have_keypoints(), image, threshold=0.5, floor=0.05),
        "other": lambda: view_payload(make_detections(5, image_size=SIZE, model="other"), image, threshold=0.3, floor=0.05),
        "script": lambda: view_payload(
            make_detections(1, image_size=SIZE, categories=NAMES, labels=[4], model="script"),
            image,
            title=SCRIPT_NAME,
            notes=[SCRIPT_NAME],
        ),
        "nothing": lambda: view_payload(Detections.empty(SIZE, NAMES, model="first"), image),
        "clear": lambda: None,
        "status": lambda: status_payload("download", "Downloading the weights", done=30, total=120),
        "note": lambda: ViewMessage(notes=["Cancelled."]),
        "error": lambda: error_payload("That did not work", SCRIPT_NAME),
    }
    with gr.Blocks() as app:
        view = DetectionView(results["first"](), elem_id="one")
        for name, result in results.items():
            gr.Button(name, elem_id=f"send-{name}").click(result, outputs=view, show_progress="hidden")
        seen = gr.Textbox(elem_id="seen", label="Seen by Python")
        hidden = gr.Button("hide", elem_id="hide")
        hidden.click(lambda: DetectionView(visible=False), outputs=view, show_progress="hidden")
        gr.Button("unhide", elem_id="unhide").click(lambda: DetectionView(visible=True), outputs=view, show_progress="hidden")
        second = DetectionView(view_payload(make_detections(2, image_size=SIZE, model="second"), image, floor=0.05), elem_id="two")

        def save(settings: ViewSettings) -> tuple[Any, str]:
            return download_payload(image, "annotated.png"), repr(settings)

        view.download(save, view, [view, seen], show_progress="hidden")
        second.download(save, second, [second, seen], show_progress="hidden")
    return app


@pytest.fixture
def view(page: Page, app_url: str) -> Locator:
    page.goto(app_url)
    view = page.locator("#one .dv")
    expect(view.locator(".dv-count")).to_have_text("3 objects · 2 persons, 1 dog")
    return view


def rows(view: Locator) -> Locator:
    return view.locator("tbody tr:not([hidden])")


def send(page: Page, name: str) -> None:
    page.click(f"#send-{name}")


def set_slider(slider: Locator, value: float) -> None:
    """As dragging does, without caring for pixels."""
    slider.evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value)


def point_at(view: Locator, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is on the screen."""
    box = view.locator(".dv-image").bounding_box()
    return box["x"] + x / SIZE[1] * box["width"], box["y"] + y / SIZE[0] * box["height"]


def test_dragging_the_threshold_filters_without_a_request(page: Page, view: Locator) -> None:
    slider = view.get_by_label("Threshold")
    box = slider.bounding_box()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.mouse.move(box["x"] + box["width"] * 0.48, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.88, box["y"] + box["height"] / 2, steps=10)
    expect(rows(view)).to_have_count(1)
    expect(view.locator(".dv-image")).to_have_attribute("alt", "1 person")
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2, steps=10)
    page.mouse.up()
    expect(rows(view)).to_have_count(4)
    expect(view.locator(".dv-layer-boxes .dv-object:not([hidden])")).to_have_count(4)
    expect(view.get_by_role("status")).to_have_text("2 persons, 1 dog, 1 car")
    assert requests == []


def test_chips_switch_classes_off_and_on(view: Locator) -> None:
    chips = view.locator(".dv-chip")
    expect(chips).to_have_text(["person×2", "dog×1", "car×0"])
    chips.nth(0).click()
    expect(chips.nth(0)).to_have_attribute("aria-pressed", "false")
    expect(rows(view)).to_have_count(1)
    expect(view.locator(".dv-count")).to_have_text("1 object · 1 dog")
    chips.nth(1).click()
    chips.nth(2).click()
    expect(view.locator(".dv-callout")).to_contain_text("All classes are switched off.")
    view.get_by_role("button", name="Show all classes").click()
    expect(rows(view)).to_have_count(3)


def test_layers_and_keypoint_confidence_hide_what_they_name(view: Locator) -> None:
    for name, selector in {"Boxes": ".dv-layer-boxes", "Masks": ".dv-layer-masks", "Skeletons": ".dv-layer-skeletons"}.items():
        view.get_by_role("button", name=name).click()
        expect(view.locator(selector)).to_be_hidden()
    expect(view.locator(".dv-label:not([hidden])")).to_have_count(3)
    view.get_by_role("button", name="Labels").click()
    expect(view.locator(".dv-label:not([hidden])")).to_have_count(0)
    expect(view.locator("thead").get_by_role("button", name="Keypoints")).to_be_visible()
    before = int(rows(view).first.locator("td").last.inner_text())
    set_slider(view.get_by_label("Keypoint confidence"), 10)
    expect(rows(view).first.locator("td").last).not_to_have_text(str(before))
    assert int(rows(view).first.locator("td").last.inner_text()) < before


@pytest.mark.slow
def test_objects_without_keypoints_are_distinguished_from_those_with_unsure_keypoints(page: Page, view: Locator) -> None:
    send(page, "persons")
    keypoints = view.locator("tbody tr:not([hidden]) td:last-child")
    expect(keypoints).to_have_text(["12", "–", "0"])
    expect(view.locator(".dv-layer-skeletons .dv-object:not([hidden])")).to_have_count(2)
    expect(view.locator(".dv-image")).to_have_attribute("alt", "2 persons, 1 dog")
    expect(view.get_by_role("status")).to_have_text("2 persons, 1 dog")
    set_slider(view.get_by_label("Keypoint confidence"), 10)
    expect(keypoints).to_have_text(["3", "–", "0"])
    view.locator("thead").get_by_role("button", name="Keypoints").click()
    expect(keypoints).to_have_text(["3", "0", "–"])
    rows(view).nth(2).hover()
    expect(view.locator(".dv-layer-boxes .dv-active")).to_have_count(1)
    view.get_by_role("button", name="Skeletons").click()
    expect(view.locator(".dv-layer-skeletons")).to_be_hidden()


def test_hovering_a_row_lights_its_object_and_the_other_way_round(page: Page, view: Locator) -> None:
    rows(view).nth(1).hover()
    expect(view.locator(".dv-layer-boxes .dv-active")).to_have_count(1)
    expect(view.locator(".dv-overlay")).to_have_class("dv-overlay dv-has-active")
    page.mouse.move(*point_at(view, 90, 150))
    expect(view.locator("tr.dv-active")).to_have_count(1)
    # The smaller of two objects under the pointer wins.
    expect(view.locator(".dv-tooltip")).to_have_text("person · 0.60 · 60×100 px")
    page.mouse.move(0, 0)
    expect(view.locator("tr.dv-active")).to_have_count(0)


def test_click_selects_and_keys_move_the_selection(page: Page, view: Locator) -> None:
    page.mouse.click(*point_at(view, 300, 130))
    selected = view.locator("tr[aria-selected=true]")
    expect(selected).to_contain_text("dog")
    view.locator("tr[tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    expect(selected).to_contain_text("0.60")
    page.keyboard.press("Home")
    expect(selected).to_contain_text("0.95")
    page.keyboard.press("Escape")
    expect(selected).to_have_count(0)
    page.mouse.click(*point_at(view, 300, 130))
    page.mouse.click(*point_at(view, 200, 10))
    expect(selected).to_have_count(0)


@pytest.mark.slow
def test_table_sorts_by_its_headers(view: Locator) -> None:
    view.locator("thead").get_by_role("button", name="Size").click()
    expect(view.locator("th[data-sort=size]")).to_have_attribute("aria-sort", "descending")
    expect(rows(view).locator(".dv-cell-rank")).to_have_text(["1", "2", "3"])
    view.locator("thead").get_by_role("button", name="Size").click()
    expect(rows(view).locator(".dv-cell-rank")).to_have_text(["3", "2", "1"])


def test_nothing_shown_is_explained_and_offers_a_way_out(page: Page, view: Locator) -> None:
    set_slider(view.get_by_label("Threshold"), 1)
    expect(view.locator(".dv-callout")).to_contain_text("Nothing above 1.00. The best was person 0.95.")
    view.locator(".dv-chip").nth(0).click()
    view.locator(".dv-chip").nth(1).click()
    # 0.305 is shown as 0.30 or 0.31; the offer must lie below it.
    view.get_by_role("button", name="Lower the threshold to 0.30").click()
    expect(rows(view)).to_have_count(1)
    expect(view.locator(".dv-callout")).to_be_hidden()
    view.locator(".dv-chip").nth(0).click()
    view.locator(".dv-chip").nth(1).click()
    view.get_by_role("button", name="Default 0.50").click()
    expect(rows(view)).to_have_count(3)
    send(page, "nothing")
    expect(view.locator(".dv-callout")).to_contain_text("The model found nothing in this image.")
    expect(view.get_by_alt_text("Nothing found")).to_be_visible()


@pytest.mark.slow
def test_zoom_keeps_label_size_and_fit_resets(page: Page, view: Locator) -> None:
    image, label = view.locator(".dv-image"), view.locator(".dv-label:not([hidden])").first
    width, height = image.bounding_box()["width"], label.bounding_box()["height"]
    view.get_by_role("button", name="Zoom in").click()
    page.mouse.move(*point_at(view, 200, 150))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    expect(view.get_by_role("button", name="Fit to the view")).not_to_have_text("150%")
    assert image.bounding_box()["width"] > 1.5 * width
    assert label.bounding_box()["height"] == height
    left = image.bounding_box()["x"]
    page.mouse.down()
    page.mouse.move(*[sum(pair) for pair in zip(point_at(view, 200, 150), (40, 0), strict=True)], steps=4)
    page.mouse.up()
    assert image.bounding_box()["x"] > left
    # A drag is no click.
    expect(view.locator("tr[aria-selected=true]")).to_have_count(0)
    view.get_by_role("button", name="Fit to the view").click()
    assert image.bounding_box()["width"] == pytest.approx(width)


@pytest.mark.slow
def test_keys_choose_objects_in_the_image(page: Page, view: Locator) -> None:
    frame, said = view.locator(".dv-frame"), view.get_by_role("status").last
    chosen = view.locator("tr[aria-selected=true]")
    frame.press("ArrowRight")
    expect(chosen.locator(".dv-cell-rank")).to_have_text("1")
    expect(said).to_have_text("person 0.95, 1 of 3")
    frame.press("ArrowLeft")
    expect(chosen.locator(".dv-cell-rank")).to_have_text("3")
    expect(view.locator(".dv-label.dv-active")).to_have_count(1)
    frame.press("Escape")
    expect(chosen).to_have_count(0)
    # In a zoomed image, arrows pan.
    frame.press("+")
    before = view.locator(".dv-image").bounding_box()["x"]
    frame.press("ArrowRight")
    expect(chosen).to_have_count(0)
    assert view.locator(".dv-image").bounding_box()["x"] < before


@pytest.mark.slow
def test_labels_stay_in_the_frame_and_apart(view: Locator) -> None:
    set_slider(view.get_by_label("Threshold"), 0.05)
    expect(view.locator(".dv-label:not([hidden])")).to_have_count(4)
    frame = view.locator(".dv-frame").bounding_box()
    boxes = [label.bounding_box() for label in view.locator(".dv-label:not([hidden])").all()]
    for i, a in enumerate(boxes):
        assert frame["x"] <= a["x"]
        assert frame["y"] <= a["y"]
        assert a["x"] + a["width"] <= frame["x"] + frame["width"]
        for b in boxes[:i]:
            apart = a["x"] >= b["x"] + b["width"] or b["x"] >= a["x"] + a["width"]
            assert apart or a["y"] >= b["y"] + b["height"] or b["y"] >= a["y"] + a["height"]


@pytest.mark.slow
def test_two_views_are_independent(page: Page, view: Locator) -> None:
    second = page.locator("#two .dv")
    expect(rows(second)).to_have_count(1)
    set_slider(second.get_by_label("Threshold"), 0.05)
    expect(rows(second)).to_have_count(2)
    expect(rows(view)).to_have_count(3)
    rows(second).first.hover()
    expect(view.locator(".dv-active")).to_have_count(0)
    ids = page.locator(".dv [id]").evaluate_all("nodes => nodes.map((node) => node.id)")
    assert len(ids) == len(set(ids))


def test_one_click_downloads_with_the_current_settings(page: Page, view: Locator) -> None:
    view.locator(".dv-chip").nth(1).click()
    set_slider(view.get_by_label("Threshold"), 0.72)
    with page.expect_download() as download:
        view.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename == "annotated.png"
    assert Image.open(download.value.path()).size == SIZE[::-1]
    expected = repr(ViewSettings(threshold=0.72, hidden_classes=frozenset({2})))
    expect(page.locator("#seen textarea")).to_have_value(expected)
    # The answer leaves the visitor's view alone.
    expect(rows(view)).to_have_count(1)


@pytest.mark.slow
def test_settings_survive_a_new_result_of_the_same_model_only(page: Page, view: Locator) -> None:
    slider = view.get_by_label("Threshold")
    set_slider(slider, 0.7)
    view.get_by_role("button", name="Boxes").click()
    # A new result has new rows.
    view.locator("tbody tr").first.evaluate("row => row.dataset.before = ''")
    send(page, "first")
    expect(view.locator("tbody tr[data-before]")).to_have_count(0)
    expect(view.locator("tbody tr")).to_have_count(4)
    expect(slider).to_have_value("0.7")
    # In another precision it is the same model.
    send(page, "fast")
    expect(view.locator("tbody tr")).to_have_count(2)
    expect(slider).to_have_value("0.7")
    send(page, "other")
    expect(view.locator("tbody tr")).to_have_count(5)
    expect(slider).to_have_value("0.3")
    expect(view.get_by_role("button", name="Boxes")).to_have_attribute("aria-pressed", "false")
    expect(view.get_by_role("button", name="Masks")).to_be_hidden()


@pytest.mark.slow
def test_hiding_and_showing_keeps_the_result(page: Page, view: Locator) -> None:
    set_slider(view.get_by_label("Threshold"), 0.7)
    expect(rows(view)).to_have_count(2)
    page.click("#hide")
    expect(view).to_be_hidden()
    page.click("#unhide")
    expect(rows(view)).to_have_count(2)


def test_waiting_and_errors_keep_the_image(page: Page, view: Locator) -> None:
    send(page, "status")
    expect(view.locator(".dv-status")).to_contain_text("Downloading the weights")
    expect(view.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(rows(view)).to_have_count(3)
    send(page, "error")
    expect(view.get_by_role("alert")).to_contain_text("That did not work")
    expect(view.locator(".dv-status")).to_be_hidden()
    expect(rows(view)).to_have_count(3)
    send(page, "note")
    expect(view.get_by_role("alert")).to_be_hidden()
    expect(view.locator(".dv-notes")).to_have_text("Cancelled.")
    expect(rows(view)).to_have_count(3)
    send(page, "first")
    expect(view.locator(".dv-notes")).to_be_hidden()
    send(page, "clear")
    expect(view.get_by_text("The image appears here")).to_be_visible()
    expect(view.locator(".dv-panel")).to_be_hidden()


def test_names_and_messages_are_text_never_markup(page: Page, view: Locator) -> None:
    send(page, "script")
    expect(view.locator(".dv-chip-name")).to_have_text([SCRIPT_NAME])
    expect(view.locator(".dv-notes")).to_have_text(SCRIPT_NAME)
    send(page, "error")
    expect(view.get_by_role("alert")).to_contain_text(SCRIPT_NAME)
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, app_url: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.goto(f"{app_url}?__theme={scheme}")
    view = page.locator("#one .dv")
    expect(rows(view)).to_have_count(3)
    set_slider(view.get_by_label("Threshold"), 1)
    expect(view.locator(".dv-callout")).to_be_visible()
    send(page, "status")
    expect(view.locator(".dv-status")).to_be_visible()
    found = axe.run(page, context="#one, #two")
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.slow
def test_narrow_screens_do_not_scroll_sideways(page: Page, view: Locator) -> None:
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 800})
        expect(view.locator(".dv-label:not([hidden])").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for part in ("toolbar", "panel", "scroller"):
            assert view.locator(f".dv-{part}").evaluate("node => node.scrollWidth <= node.clientWidth"), (part, width)
        panel, frame = view.locator(".dv-panel").bounding_box(), view.locator(".dv-frame").bounding_box()
        assert panel["y"] >= frame["y"] + frame["height"]
