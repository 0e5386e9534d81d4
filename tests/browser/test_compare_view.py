"""CompareView as a visitor meets it, in real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from detection_core.detections import Detections
from detection_core.detections.comparison import compare, consensus
from detection_core.ui.compare.view import (
    CompareCost,
    CompareMessage,
    CompareModel,
    ComparePoint,
    CompareSettings,
    CompareView,
    compare_model,
    compare_payload,
    failed_model,
    link_models,
    settings_from_link,
    waiting_model,
)
from detection_core.ui.components.messages import ViewError, ViewStatus, ViewTiming
from detection_core.ui.components.modules import MODULES
from detection_core.ui.theme import CSS, theme
from tests.browser.test_detection_view import NAMES, SCRIPT_NAME, SIZE, send, set_slider

pytestmark = pytest.mark.browser

PERSON, DOG, CAR = [20, 40, 180, 280], [220, 60, 380, 200], [220, 220, 380, 290]


def found(*objects: tuple[list[int], int, float]) -> Detections:
    """A result from (box, class id, score) of each object."""
    boxes, labels, scores = zip(*objects, strict=True)
    return Detections(np.array(boxes, np.float32), np.array(labels), np.array(scores, np.float32), SIZE, NAMES)


RESULTS = {
    # Agreed: the person. Same place, other class: dog and car. Only A: the car below. Under every threshold but the floor: 0.1.
    "a": ("First, model", found((PERSON, 1, 0.95), (DOG, 2, 0.8), (CAR, 3, 0.6), ([100, 10, 130, 40], 2, 0.1)), 0.5),
    "b": ("Second", found(([24, 44, 184, 284], 1, 0.9), ([222, 62, 380, 204], 3, 0.7), ([5, 5, 15, 15], 2, 0.3)), 0.5),
    "c": ("Third", found(([20, 40, 180, 270], 1, 0.4), (CAR, 3, 0.35)), 0.3),
    "d": (SCRIPT_NAME, found((PERSON, 4, 0.9)), 0.5),
}
COST = CompareCost(
    latency_ms=85, low_ms=80, high_ms=95, runs=5, parts=[ViewTiming(name="network", ms=80)], memory_mb=1234, box_ap=31.2, metrics_on="COCO"
)


def models(ids: str, cost: CompareCost | None = None) -> list[CompareModel]:
    return [compare_model(key, RESULTS[key][0], RESULTS[key][1], threshold=RESULTS[key][2], floor=0.05, cost=cost) for key in ids]


@pytest.fixture(scope="module")
def app_url(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    image = tmp_path_factory.mktemp("images") / "gray.png"
    Image.new("RGB", SIZE[::-1], (120, 130, 140)).save(image)
    return serve(build_app(image), theme=theme(), css=CSS, allowed_paths=[str(image.parent)])


def build_app(image: Path) -> gr.Blocks:
    def whole(parts: list[CompareModel], **options: Any) -> CompareMessage:
        return compare_payload(image, SIZE, parts, **{"link_name": "example:gray"} | options)

    points = [ComparePoint(id=key, title=RESULTS[key][0], latency_ms=85, box_ap=30, compared=key == "a") for key in "ab"]
    waiting = waiting_model("b", "Second", ViewStatus(stage="download", text="Downloading", done=1, total=4))
    failed = failed_model("c", "Third", ViewError(title="Not available", text=SCRIPT_NAME))
    messages = {
        "two": lambda: whole(models("ab")),
        "three": lambda: whole(models("abc")),
        "script": lambda: whole(models("ad"), link_name=""),
        "coming": lambda: whole([*models("a"), waiting, failed]),
        "restored": lambda: whole(models("abc"), restore={"rule": "top", "top": 1, "mode": "consensus", "votes": 3}),
        "bare": lambda: whole([]),
        "clear": lambda: None,
        "status": lambda: CompareMessage(status=ViewStatus(stage="run", text="Measuring", done=1, total=2)),
        "error": lambda: CompareMessage(error=ViewError(title="That did not work", text=SCRIPT_NAME)),
    }
    with gr.Blocks() as app:
        view = CompareView(messages["two"](), elem_id="one")
        for name, message in messages.items():
            gr.Button(name, elem_id=f"send-{name}").click(message, outputs=view, show_progress="hidden")
        gr.Button("hide", elem_id="hide").click(lambda: CompareView(visible=False), outputs=view, show_progress="hidden")
        gr.Button("unhide", elem_id="unhide").click(lambda: CompareView(visible=True), outputs=view, show_progress="hidden")
        seen = gr.Textbox(elem_id="seen", label="Seen by Python")

        def save(settings: CompareSettings) -> tuple[Any, str]:
            return CompareMessage(download={"path": str(image)}, download_name="all.png"), repr(settings)

        def measure(settings: CompareSettings) -> tuple[Any, str]:
            return whole(models("ab", COST), points=points), settings.mode

        view.download(save, view, [view, seen], show_progress="hidden")
        view.measure(measure, view, [view, seen], show_progress="hidden")
    return app


@pytest.fixture
def view(page: Page, app_url: str) -> Locator:
    page.goto(app_url)
    view = page.locator("#one .cv")
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "2 objects · from 0.50"])
    return view


@pytest.fixture
def three(page: Page, view: Locator) -> Locator:
    send(page, "three")
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "2 objects · from 0.50", "2 objects · from 0.30"])
    return view


def facts(view: Locator) -> Locator:
    return view.locator(".cv-panes .cv-pane-facts")


def kinds(view: Locator) -> Locator:
    return view.get_by_role("group", name="Kinds of objects").get_by_role("button")


def press(view: Locator, name: str) -> None:
    view.get_by_role("button", name=name, exact=True).click()


def rows(view: Locator) -> Locator:
    return view.get_by_role("grid").locator("tbody tr")


def shown_boxes(view: Locator) -> Locator:
    return view.locator(".cv-single .dv-layer-boxes .dv-object:not([hidden])")


def point_at(frame: Locator, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image is on the screen, scrolled into sight."""
    frame.locator(".dv-image").scroll_into_view_if_needed()
    box = frame.locator(".dv-image").bounding_box()
    return box["x"] + x / SIZE[1] * box["width"], box["y"] + y / SIZE[0] * box["height"]


def test_moving_the_threshold_compares_again_without_a_request(page: Page, view: Locator) -> None:
    expect(kinds(view)).to_have_text(["Agreed1", "Only A1", "Only B0", "Other class1"])
    expect(view.locator(".cv-numbers dd")).to_have_text(["33%", "0.92", "−0.05"])
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    press(view, "Same threshold")
    expect(view.locator(".cv-why")).to_contain_text("scores of different families mean different things")
    set_slider(view.get_by_label("Threshold"), 0.05)
    expect(facts(view)).to_have_text(["4 objects · from 0.05", "3 objects · from 0.05"])
    expect(kinds(view)).to_have_text(["Agreed1", "Only A2", "Only B1", "Other class1"])
    set_slider(view.get_by_label("Threshold"), 0.92)
    expect(kinds(view)).to_have_text(["Agreed0", "Only A1", "Only B0", "Other class0"])
    expect(view.locator(".cv-panes .dv-callout").nth(1)).to_have_text("Nothing from 0.92 on. The best was person 0.90.")
    assert requests == []


def test_rules_say_which_objects_count(view: Locator) -> None:
    press(view, "Same number")
    set_slider(view.get_by_label("Boxes per model"), 2)
    expect(facts(view)).to_have_text(["2 objects", "2 objects"])
    press(view, "Each its own")
    own = view.locator(".cv-own").get_by_role("slider")
    expect(own).to_have_count(2)
    set_slider(own.nth(1), 0.2)
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "3 objects · from 0.20"])
    press(view, "Default thresholds")
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "2 objects · from 0.50"])


def test_same_place_and_classes_decide_what_agrees(view: Locator) -> None:
    set_slider(view.get_by_label("Same place from IoU"), 0.95)
    expect(kinds(view)).to_have_text(["Agreed0", "Only A3", "Only B2", "Other class0"])
    set_slider(view.get_by_label("Same place from IoU"), 0.5)
    classes = view.get_by_role("group", name="Classes")
    expect(classes.get_by_role("button")).to_have_text(["person×2", "dog×1", "car×2"])
    classes.get_by_role("button", name="car").click()
    expect(facts(view)).to_have_text(["2 objects · from 0.50", "1 object · from 0.50"])
    expect(kinds(view)).to_have_text(["Agreed1", "Only A1", "Only B0", "Other class0"])


@pytest.mark.slow
def test_hovering_shows_the_partner_in_every_other_view(page: Page, three: Locator) -> None:
    first = three.locator(".cv-panes .cv-pane").first
    page.mouse.move(*point_at(first, 300, 130))
    expect(first.locator(".dv-tooltip")).to_have_text("dog · 0.80 · 160×140 px")
    expect(three.locator(".cv-panes .dv-layer-boxes .dv-active")).to_have_count(2)
    expect(three.locator(".cv-remark:visible")).to_have_text(["same place, IoU 0.95", "not here"])
    expect(rows(three).locator("visible=true").filter(has_text="dog / car")).to_have_class("dv-active")
    page.mouse.move(0, 0)
    expect(three.locator(".dv-active")).to_have_count(0)
    expect(three.locator(".cv-remark:visible")).to_have_count(0)


@pytest.mark.slow
def test_rows_light_up_their_objects_and_move_by_keys(page: Page, view: Locator) -> None:
    expect(rows(view)).to_have_text(["agreedperson0.950.900.92−0.05", "only Acar0.60–––", "other classdog / car0.800.700.95−0.10"])
    rows(view).nth(1).hover()
    expect(view.locator(".dv-layer-boxes .dv-active")).to_have_count(1)
    rows(view).first.click()
    expect(rows(view).first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    page.mouse.move(0, 0)
    rows(view).first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows(view).nth(1)).to_have_attribute("aria-selected", "true")
    expect(rows(view).nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(view.locator("tr[aria-selected=true]")).to_have_count(0)
    view.get_by_role("grid").get_by_role("button", name="Score B").click()
    expect(rows(view).locator("td:nth-child(4)")).to_have_text(["0.90", "0.70", "–"])


def test_difference_draws_each_kind_its_own_way(view: Locator) -> None:
    press(view, "Difference")
    expect(shown_boxes(view)).to_have_count(4)
    for look, count in {"cv-look-matched": 1, "cv-look-a": 2, "cv-look-b": 1}.items():
        expect(view.locator(f".cv-single .dv-layer-boxes .{look}")).to_have_count(count)
    dashes = "node => getComputedStyle(node).strokeDasharray"
    assert view.locator(".cv-look-a .dv-line").first.evaluate(dashes) == "none"
    assert view.locator(".cv-look-b .dv-line").first.evaluate(dashes) != "none"
    labels = view.locator(".cv-single .dv-label:visible")
    expect(labels.filter(has_text="A: dog 0.80")).to_have_count(1)
    expect(labels.filter(has_text="B: car 0.70")).to_have_count(1)
    kinds(view).nth(3).click()
    expect(shown_boxes(view)).to_have_count(2)
    expect(rows(view)).to_have_count(2)
    expect(view.get_by_alt_text("1 agreed, 1 only First, model, 0 only Second, 1 of another class")).to_be_visible()


@pytest.mark.slow
def test_any_two_models_can_be_the_pair(three: Locator) -> None:
    second = three.get_by_label("Second model of the table")
    expect(second.locator("option")).to_have_text(["A · First, model", "B · Second", "C · Third"])
    second.select_option("c")
    expect(kinds(three)).to_have_text(["Agreed2", "Only A1", "Only C0", "Other class0"])
    three.get_by_label("First model of the table").select_option("c")
    expect(second).to_have_value("a")
    expect(kinds(three)).to_have_text(["Agreed2", "Only C0", "Only A1", "Other class0"])


def test_swipe_uncovers_one_model_or_the_other(page: Page, view: Locator) -> None:
    press(view, "Swipe")
    single = view.locator(".cv-single")
    page.mouse.move(*point_at(single, 90, 200))
    expect(single.locator(".dv-tooltip")).to_contain_text("person · 0.95")
    page.mouse.move(*point_at(single, 300, 130))
    expect(single.locator(".dv-tooltip")).to_contain_text("car · 0.70")
    handle = view.get_by_role("slider", name="Uncover")
    handle.focus()
    page.keyboard.press("End")
    page.mouse.move(*point_at(single, 301, 130))
    expect(single.locator(".dv-tooltip")).to_contain_text("dog · 0.80")
    page.keyboard.press("Home")
    page.mouse.move(*point_at(single, 302, 130))
    expect(single.locator(".dv-tooltip")).to_contain_text("car · 0.70")


@pytest.mark.slow
def test_handle_of_the_swipe_can_be_dragged(page: Page, view: Locator) -> None:
    press(view, "Swipe")
    box = view.locator(".cv-single .dv-frame").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle, steps=4)
    page.mouse.up()
    assert float(view.get_by_role("slider", name="Uncover").input_value()) == pytest.approx(25, abs=1)
    line = view.locator(".cv-swipe-line").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + box["width"] / 4, abs=4)


def test_consensus_counts_votes(three: Locator) -> None:
    press(three, "Consensus")
    expect(three.locator(".cv-votes")).to_contain_text("of 3 models agree on 2 objects")
    labels = three.locator(".cv-single .dv-label:visible")
    expect(labels).to_have_text(["person 3/3", "car 2/3"])
    expect(three.locator(".cv-single .dv-layer-boxes .cv-look-some")).to_have_count(1)
    three.get_by_role("group", name="Models that agree").get_by_role("button", name="3").click()
    expect(labels).to_have_text(["person 3/3"])
    expect(three.get_by_role("group", name="Models that agree").get_by_role("button", name="4")).to_be_hidden()


@pytest.mark.slow
def test_keys_choose_objects_in_an_image_with_their_partners_in_the_others(page: Page, view: Locator) -> None:
    frames, said = view.locator(".cv-panes .dv-frame"), view.get_by_role("status").last
    chosen = rows(view).and_(view.locator("[aria-selected=true]"))
    frames.nth(0).press("ArrowRight")
    expect(chosen).to_have_count(1)
    expect(said).to_have_text(re.compile(r"^\S+ 0\.\d\d, 1 of \d$"))
    # The summary that was due when the key was pressed is not read out instead.
    page.wait_for_timeout(700)
    expect(said).to_have_text(re.compile(r", 1 of \d$"))
    expect(frames.nth(1).locator(".dv-label.dv-active")).to_have_count(1)
    frames.nth(1).press("Escape")
    expect(chosen).to_have_count(0)
    press(view, "Swipe")
    swiped = view.locator(".cv-single .dv-frame")
    expect(view.locator(".cv-single .dv-label:visible").first).to_be_visible()
    places = []
    for _ in range(20):
        swiped.press("ArrowRight")
        places.append(said.inner_text().rpartition(", ")[2])
        if len(set(places)) < len(places):
            break
    # All objects of both models come in turn, also where two of them stand for one thing.
    assert len(places) - 1 == int(places[0].rpartition(" ")[2]) > 3


@pytest.mark.slow
def test_images_zoom_and_pan_together(page: Page, three: Locator) -> None:
    images = three.locator(".cv-panes .dv-image")
    frame = three.locator(".cv-panes .dv-frame").nth(1)
    page.mouse.move(*point_at(frame, 100, 100))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.mouse.down()
    page.mouse.move(*[sum(pair) for pair in zip(point_at(frame, 100, 100), (12, 8), strict=True)], steps=4)
    page.mouse.up()
    transforms = images.evaluate_all("nodes => nodes.map((node) => node.style.transform)")
    assert len(set(transforms)) == 1
    assert "scale" in transforms[0]
    zoomed = three.get_by_role("button", name="Fit all images").inner_text()
    assert int(zoomed.rstrip("%")) > 150
    press(three, "Difference")
    # The visible part stays in view in every mode.
    expect(three.get_by_role("button", name="Fit all images")).to_have_text(zoomed)
    press(three, "Fit all images")
    press(three, "Side by side")
    expect(three.get_by_role("button", name="Fit all images")).to_have_text("100%")


def test_views_come_one_by_one_and_a_failure_does_not_affect_the_others(page: Page, view: Locator) -> None:
    set_slider(view.get_by_label("Same place from IoU"), 0.6)
    send(page, "coming")
    panes = view.locator(".cv-panes .cv-pane")
    expect(panes).to_have_count(3)
    expect(panes.nth(1).get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(panes.nth(2).get_by_role("alert")).to_contain_text(SCRIPT_NAME)
    expect(facts(view).first).to_have_text("3 objects · from 0.50")
    expect(view.locator(".cv-nothing")).to_have_text("Second has no result yet.")
    press(view, "Swipe")
    expect(view.locator(".cv-single .dv-callout")).to_have_text("Second has no result yet.")
    press(view, "Side by side")
    send(page, "error")
    expect(panes.nth(1).get_by_role("progressbar")).to_be_hidden()
    expect(panes.nth(1).locator(".dv-callout")).to_have_text("No result.")
    expect(panes.nth(2).get_by_role("alert")).to_contain_text(SCRIPT_NAME)
    press(view, "Swipe")
    send(page, "three")
    expect(view.locator(".cv-single .dv-callout")).to_be_hidden()
    expect(kinds(view)).to_have_text(["Agreed1", "Only A1", "Only B0", "Other class1"])
    expect(view.get_by_label("Same place from IoU")).to_have_value("0.6")
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_messages_without_an_image_keep_what_is_shown(page: Page, view: Locator) -> None:
    send(page, "status")
    expect(view.locator(".cv-status")).to_contain_text("Measuring")
    send(page, "error")
    expect(view.locator(":scope > .dv-error")).to_contain_text(SCRIPT_NAME)
    expect(view.locator(".cv-status")).to_be_hidden()
    expect(facts(view)).to_have_count(2)
    send(page, "clear")
    expect(view.get_by_text("The models' views appear here")).to_be_visible()
    expect(view.locator(".cv-pane:visible")).to_have_count(0)
    send(page, "bare")
    expect(view.get_by_alt_text("The image, not analysed yet")).to_be_visible()
    expect(view.locator(".cv-panel")).to_be_hidden()
    send(page, "two")
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "2 objects · from 0.50"])


@pytest.mark.slow
def test_hiding_and_showing_keeps_the_comparison(page: Page, view: Locator) -> None:
    press(view, "Same number")
    set_slider(view.get_by_label("Boxes per model"), 1)
    expect(facts(view)).to_have_text(["1 object", "1 object"])
    page.click("#hide")
    expect(view).to_be_hidden()
    page.click("#unhide")
    expect(facts(view)).to_have_text(["1 object", "1 object"])


def test_download_sends_python_what_is_seen(page: Page, view: Locator) -> None:
    press(view, "Each its own")
    set_slider(view.locator(".cv-own").get_by_role("slider").first, 0.7)
    press(view, "Difference")
    view.get_by_role("group", name="Classes").get_by_role("button", name="car").click()
    with page.expect_download() as download:
        press(view, "Download")
    assert download.value.suggested_filename == "all.png"
    expected = CompareSettings(rule="own", thresholds={"a": 0.7}, mode="difference", pair=("a", "b"), hidden_classes=frozenset({"car"}))
    expect(page.locator("#seen textarea")).to_have_value(repr(expected))
    expect(shown_boxes(view)).to_have_count(2)


@pytest.mark.slow
def test_measuring_fills_the_costs(page: Page, view: Locator) -> None:
    costs = view.get_by_role("region", name="Cost of each model").locator("tbody tr")
    expect(costs).to_have_text(["AFirst, model3–––", "BSecond2–––"])
    expect(view.locator(".cv-scatter")).to_be_hidden()
    press(view, "Measure on this image")
    expect(costs.first).to_have_text("AFirst, model331.285 ms80 ms – 95 ms, 5 runsnetwork 80 ms1.2 GB", use_inner_text=False)
    expect(view.get_by_role("button", name="Measure on this image")).to_have_attribute("aria-busy", "false")
    expect(view.locator(".cv-scatter circle")).to_have_count(2)
    expect(view.locator(".cv-scatter .cv-point-name.cv-compared")).to_have_text(["A First, model"])


def test_link_reproduces_the_comparison(page: Page, three: Locator) -> None:
    press(three, "Same threshold")
    set_slider(three.get_by_label("Threshold"), 0.33)
    press(three, "Swipe")
    three.get_by_label("Second model of the table").select_option("c")
    three.get_by_role("group", name="Classes").get_by_role("button", name="dog").click()
    press(three, "Boxes")
    press(three, "Link")
    field = three.get_by_label("Link to this comparison")
    expect(field).to_be_focused()
    query = dict(parse_qsl(urlsplit(field.input_value()).query))
    assert (query["tab"], query["image"], link_models(query)) == ("compare", "example:gray", ["a", "b", "c"])
    assert settings_from_link(query) == {
        "rule": "same", "threshold": 0.33, "mode": "swipe", "pair": ["a", "c"], "boxes": False, "hidden_classes": ["dog"],
    }  # fmt: skip
    press(three, "Close")
    expect(field).to_be_hidden()


@pytest.mark.slow
def test_an_image_without_a_link_says_why(page: Page, view: Locator) -> None:
    send(page, "script")
    expect(view.locator(".cv-pane-title").filter(has_text=SCRIPT_NAME)).to_be_visible()
    press(view, "Link")
    expect(view.locator(".cv-link")).to_contain_text("No link can bring this image back")
    expect(view.get_by_label("Link to this comparison")).to_be_hidden()
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_a_link_is_applied_once(page: Page, view: Locator) -> None:
    send(page, "restored")
    expect(view.locator(".cv-votes")).to_contain_text("of 3 models agree on 1 object")
    press(view, "Side by side")
    send(page, "restored")
    expect(facts(view)).to_have_text(["1 object", "1 object", "1 object"])
    press(view, "Default thresholds")
    send(page, "restored")
    # The messages of one run all bring the same link; what the visitor has changed meanwhile stays.
    page.wait_for_timeout(300)
    expect(facts(view)).to_have_text(["3 objects · from 0.50", "2 objects · from 0.50", "2 objects · from 0.30"])


def test_browser_matches_as_python_does(page: Page, app_url: str) -> None:
    page.goto(app_url)
    module = MODULES.address("compare/matching.js")
    rng = np.random.default_rng(0)
    for votes, threshold in [(2, 0.5), (2, 0.3), (3, 0.1), (4, 0.05)]:
        # Boxes on a coarse grid, so that ties are frequent.
        results = [random_result(rng, int(rng.integers(0, 30))) for _ in range(4)]
        sent = [
            [{"box": b, "name": n, "score": s} for b, n, s in zip(r.boxes.tolist(), r.names, r.scores.tolist(), strict=True)]
            for r in results
        ]
        pairs, groups = page.evaluate(
            "async ({ module, results, votes, iou }) => { const { compareObjects, agreedObjects } = await import(module); "
            "const groups = agreedObjects(results, votes, iou).map((group) => [group.name, [...group.members], group.box]); "
            "return [compareObjects(results[0], results[1], iou), groups]; }",
            {"module": module, "results": sent, "votes": votes, "iou": threshold},
        )
        expected = compare(results[0], results[1], iou=threshold)
        for key, wanted in {"matched": expected.matched, "other": expected.other_class}.items():
            assert [(p["i"], p["j"], p["iou"]) for p in pairs[key]] == [(p.a, p.b, p.iou) for p in wanted]
        assert (pairs["onlyA"], pairs["onlyB"]) == (list(expected.only_a), list(expected.only_b))
        agreed = consensus(results, votes=votes, iou=threshold)
        assert [(name, [tuple(member) for member in members]) for name, members, _ in groups] == [
            (group.name, list(group.members.items())) for group in agreed
        ]
        assert np.allclose([box for _, _, box in groups], [group.box for group in agreed] or np.empty((0, 4)))


def random_result(rng: np.random.Generator, n: int) -> Detections:
    corner, size = rng.integers(0, 12, (n, 2)) * 20, rng.integers(1, 5, (n, 2)) * 20
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    scores = np.sort(rng.uniform(0, 1, n).astype(np.float32))[::-1]
    return Detections(boxes, rng.integers(1, 4, n), scores, SIZE, NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, app_url: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.goto(f"{app_url}?__theme={scheme}")
    view = page.locator("#one .cv")
    press(view, "Measure on this image")
    expect(view.locator(".cv-scatter circle")).to_have_count(2)
    for message, mode in {"coming": "Side by side", "three": "Swipe", "status": "Difference", "two": "Consensus"}.items():
        send(page, message)
        press(view, mode)
        press(view, "Each its own" if mode == "Swipe" else "Same threshold")
        expect(view.get_by_role("button", name=mode)).to_have_attribute("aria-pressed", "true")
        report = axe.run(page, context="#one")
        assert report.violations_count == 0, f"{mode}: {report.generate_report()}"


@pytest.mark.slow
def test_narrow_screens_do_not_scroll_sideways(page: Page, three: Locator) -> None:
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": 800})
        for mode in ("Side by side", "Difference", "Swipe"):
            press(three, mode)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (mode, width)
            for part in ("dv-toolbar", "cv-bar", "cv-stage", "cv-agreement", "cv-scroller", "cv-settings"):
                assert three.locator(f".{part}").evaluate("node => node.scrollWidth <= node.clientWidth"), (part, width)
