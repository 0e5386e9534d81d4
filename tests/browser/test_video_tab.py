"""What a visitor does with a video: chooses it, processes it, seeks in the counts, draws again, cancels, and downloads files."""

from __future__ import annotations

import csv
import io
import re
import time
import zipfile
from pathlib import Path

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from detection_core.engine import EngineError
from detection_core.models.catalog import PERSON_MODEL
from detection_core.models.detector import Timings
from detection_core.ui.app import launch_options
from detection_core.ui.video.tab import VideoTab
from detection_core.video.io import open_video
from tests.browser.errors import no_errors
from tests.ui.fake_engine import FakeEngine, growing_crowd
from tests.video.io.videos import make_video

pytestmark = pytest.mark.browser

SECONDS = 1000
# The tab's module writes it, and takes files from then on.
TAKES_VIDEOS = re.compile("Longer videos must be cut first")


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine(growing_crowd, timings=Timings(network=0.02))


@pytest.fixture(scope="module")
def address(serve, engine):
    """The tab beside another one, for videos of up to a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETECTION_EXPLORER_MAX_VIDEO_SECONDS", "60")
        patch.setenv("DETECTION_EXPLORER_MAX_VIDEO_MEGABYTES", "2")
        tab = VideoTab(engine)
        with gr.Blocks(analytics_enabled=False) as page:
            with gr.Tab("Video"):
                tab.layout()
            with gr.Tab("Elsewhere"):
                gr.HTML("<p>Nothing here</p>")
            tab.wire(page)
        yield serve(page, **launch_options())


@pytest.fixture(scope="module")
def walk(tmp_path_factory) -> Path:
    """Two seconds with sound, twenty frames; from 0.9 s on there are two persons."""
    return make_video(tmp_path_factory.mktemp("videos") / "walk.mp4", size=(160, 96), beep=(2, 1))


@pytest.fixture
def tab(page: Page, address: str, engine: FakeEngine) -> Page:
    """The page, still empty, for the model of persons and their keypoints."""
    with no_errors(page):
        page.goto(address)
        expect(page.get_by_text(TAKES_VIDEOS)).to_be_visible(timeout=30 * SECONDS)
        page.get_by_role("combobox", name="Model", exact=True).select_option(PERSON_MODEL)
        yield page
        engine.release()


def give(page: Page, file: Path | dict) -> None:
    page.get_by_label("Video", exact=True).set_input_files(file)


def detect(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Detect")).click()
    expect(page.locator(".vv-counts")).to_be_visible(timeout=20 * SECONDS)


def chart(page: Page):
    return page.get_by_role("slider", name="Place in the video")


def now(page: Page) -> float:
    return page.locator(".vv video").evaluate("video => video.currentTime")


def test_a_video_is_processed_and_the_counts_seek_in_it(tab, walk):
    give(tab, walk)
    expect(tab.locator(".vv-facts")).to_contain_text("160×96 · 0:02 · 10 frames/s · with sound", timeout=20 * SECONDS)
    expect(tab.locator(".vv-words")).to_have_text(re.compile(r"^20 frames, about 1 s here\.$"), timeout=20 * SECONDS)
    video = tab.locator(".vv video")
    # It plays at once, from the visitor's own disk.
    assert video.evaluate("video => video.src").startswith("blob:")
    expect(video).to_have_js_property("videoWidth", 160)
    detect(tab)
    expect(tab.locator(".vv-words")).to_contain_text("20 frames processed in")
    expect(tab.locator(".vv-legend")).to_contain_text("1 person")
    expect(tab.locator(".vv-legend")).to_contain_text("2 in all")
    assert "/file=" in video.evaluate("video => video.src")
    expect(video).to_have_js_property("readyState", 4)
    chart(tab).click(position={"x": chart(tab).bounding_box()["width"] * 0.75, "y": 60})
    expect(chart(tab)).to_have_attribute("aria-valuetext", re.compile(r"^0:01\.[4-6]: 2 persons$"))
    expect(tab.locator(".vv-legend")).to_contain_text("2 persons")
    assert 1.3 < now(tab) < 1.7
    expect(tab.locator(".vv-track .dv-tooltip")).to_contain_text("2 persons")


@pytest.mark.slow
def test_the_counts_work_by_keyboard(tab, walk):
    give(tab, walk)
    detect(tab)
    chart(tab).focus()
    tab.keyboard.press("End")
    expect(chart(tab)).to_have_attribute("aria-valuetext", "0:01.9: 2 persons")
    tab.keyboard.press("ArrowLeft")
    expect(chart(tab)).to_have_attribute("aria-valuenow", "1.80")
    tab.keyboard.press("Home")
    expect(chart(tab)).to_have_attribute("aria-valuetext", "0:00.0: 1 person")
    tab.keyboard.press("Space")
    expect(tab.locator(".vv video")).to_have_js_property("paused", False)
    # The playhead follows the video.
    expect(chart(tab)).to_have_attribute("aria-valuetext", re.compile("2 persons"))


@pytest.mark.slow
def test_drawing_again_asks_no_model(tab, walk, engine):
    give(tab, walk)
    detect(tab)
    asked = len(engine.jobs)
    first = tab.locator(".vv video").evaluate("video => video.src")
    tab.get_by_role("slider", name="Threshold").fill("0.7")
    tab.get_by_role("group", name="Track objects").get_by_role("button", name="Off").click()
    expect(tab.locator(".vv-words")).to_contain_text("the model is not needed")
    tab.get_by_role("button", name="Draw again").click()
    expect(tab.locator(".vv-words")).to_contain_text("20 frames processed in", timeout=20 * SECONDS)
    expect(tab.locator(".vv-legend")).to_have_text("1 person")
    chart(tab).focus()
    tab.keyboard.press("End")
    expect(chart(tab)).to_have_attribute("aria-valuetext", "0:01.9: 1 person")
    assert tab.locator(".vv video").evaluate("video => video.src") != first
    assert len(engine.jobs) == asked
    # Other frames, on the other hand, must be processed.
    tab.get_by_role("group", name="Frames a second").get_by_role("button", name="5").click()
    expect(tab.locator(".vv-words")).to_contain_text("10 frames at 5 a second")
    expect(tab.get_by_role("button", name="Detect again")).to_be_visible()


@pytest.mark.slow
def test_classes_are_switched_off_in_the_chart_at_once_and_in_the_video_when_it_is_drawn_again(tab, walk, engine, tmp_path):
    tab.get_by_role("combobox", name="Model", exact=True).select_option("ssdlite320_mobilenet_v3_large")
    give(tab, walk)
    tab.get_by_role("button", name=re.compile("^Download .* and detect$")).click()
    chips = tab.get_by_role("group", name="Classes")
    expect(chips.get_by_role("button")).to_have_text(["person×1", "dog×1"], timeout=20 * SECONDS)
    expect(tab.locator(".vv-legend li")).to_have_text(["1 person1 in all", "0 dogs1 in all"])
    # It gives no keypoints.
    expect(tab.get_by_role("slider", name="Keypoint confidence")).to_be_hidden()
    asked = len(engine.jobs)
    chips.get_by_role("button", name="dog").click()
    expect(chips.get_by_role("button", name="dog")).to_have_attribute("aria-pressed", "false")
    expect(tab.locator(".vv-legend li")).to_have_text(["1 person1 in all"])
    tab.get_by_role("button", name="Draw again").click()
    expect(tab.locator(".vv-words")).to_contain_text("20 frames processed in", timeout=20 * SECONDS)
    expect(tab.locator(".vv video")).to_have_attribute("aria-label", "The annotated video: 1 person in all")
    expect(chips.get_by_role("button")).to_have_text(["person×1", "dog×1"])
    chart(tab).focus()
    tab.keyboard.press("End")
    expect(chart(tab)).to_have_attribute("aria-valuetext", "0:01.9: 1 person")
    chips.get_by_role("button", name="person").click()
    expect(tab.locator(".vv-legend")).to_have_text("All classes are switched off.")
    chips.get_by_role("button", name="person").click()
    # That is how it is drawn.
    expect(tab.get_by_role("button", name="Draw again")).to_be_hidden()
    assert len(engine.jobs) == asked


@pytest.mark.slow
def test_the_keypoint_threshold_is_for_drawing_again(tab, walk):
    give(tab, walk)
    detect(tab)
    slider = tab.get_by_role("slider", name="Keypoint confidence")
    slider.fill("4")
    expect(tab.get_by_role("button", name="Draw again")).to_be_visible()
    slider.fill("2")
    expect(tab.get_by_role("button", name="Draw again")).to_be_hidden()
    tab.get_by_role("button", name="Skeletons").click()
    expect(slider).to_be_hidden()


def test_cancelled_detection_shows_the_finished_part(tab, walk, engine):
    give(tab, walk)
    expect(tab.locator(".vv-words")).to_contain_text("20 frames", timeout=20 * SECONDS)
    expect(tab.locator(".vv-words")).not_to_contain_text("Measuring")
    begun = len(engine.jobs)
    engine.holds = True
    tab.get_by_role("button", name="Detect", exact=True).click()
    while len(engine.jobs) == begun:
        tab.wait_for_timeout(50)
    # The frame goes on once the server knows, not just the page.
    with tab.expect_response(lambda response: '"stop"' in (response.request.post_data or "")):
        tab.get_by_role("button", name="Cancel").click()
    expect(tab.locator(".vv-working")).to_contain_text("Ending after this frame")
    engine.release()
    expect(tab.locator(".vv-words")).to_contain_text("It ended early", timeout=20 * SECONDS)
    expect(tab.locator(".vv-track")).to_contain_text("not processed")
    expect(tab.get_by_role("button", name="Detect again")).to_be_visible()


@pytest.mark.slow
def test_a_video_leaves_the_server_when_the_visitor_has_begun_another(tab, tmp_path):
    sent: list[Path] = []
    for frames in (6, 7):
        with tab.expect_response("**/upload") as answer:
            give(tab, make_video(tmp_path / "a.mp4", frames))
        sent.append(Path(answer.value.json()[0]))
        expect(tab.locator(".vv-words")).to_contain_text(f"{frames} frames", timeout=20 * SECONDS)
        detect(tab)
    first, second = sent
    deadline = time.monotonic() + 20
    while first.exists() and time.monotonic() < deadline:
        tab.wait_for_timeout(50)
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.slow
def test_detection_continues_while_the_visitor_is_in_another_tab(tab, walk, engine):
    give(tab, walk)
    expect(tab.locator(".vv-words")).not_to_contain_text("Measuring", timeout=20 * SECONDS)
    engine.holds = True
    tab.get_by_role("button", name="Detect", exact=True).click()
    expect(tab.locator(".vv-working")).to_be_visible()
    tab.get_by_role("tab", name="Elsewhere").click()
    expect(tab.get_by_text("Nothing here")).to_be_visible()
    engine.release()
    tab.get_by_role("tab", name="Video").click()
    expect(tab.locator(".vv-words")).to_contain_text("20 frames processed in", timeout=20 * SECONDS)
    expect(tab.locator(".vv-name")).to_have_text("walk.mp4")


def test_a_failing_model_is_reported_and_nothing_is_lost(tab, walk, engine):
    give(tab, walk)
    expect(tab.locator(".vv-words")).not_to_contain_text("Measuring", timeout=20 * SECONDS)
    engine.failures = [EngineError("The device has too little memory.")]
    tab.get_by_role("button", name="Detect", exact=True).click()
    with tab.expect_response(re.compile("/queue/join|/run/|/call/"), timeout=20 * SECONDS):
        expect(tab.get_by_role("alert")).to_contain_text("The device has too little memory.", timeout=20 * SECONDS)
    tab.wait_for_timeout(500)
    expect(tab.get_by_role("alert")).to_be_visible()
    detect(tab)
    expect(tab.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"this is text, not a video", "This is not a video that can be read", id="text"),
        pytest.param(bytes(2_100_000), "It has 2.1 MB; at most 2 MB are allowed", id="too large", marks=pytest.mark.slow),
    ],
)
def test_a_file_that_is_no_video_says_why(tab, content, words):
    give(tab, {"name": "letter.mp4", "mimeType": "video/mp4", "buffer": content})
    expect(tab.get_by_role("alert")).to_contain_text(words, timeout=20 * SECONDS)
    expect(tab.get_by_text("Drop a video here")).to_be_visible()


@pytest.mark.slow
def test_a_video_that_no_browser_plays_is_processed_all_the_same(tab, tmp_path):
    give(tab, make_video(tmp_path / "old.avi", 10, codec="mpeg4"))
    expect(tab.locator(".vv-unplayable")).to_contain_text("Your browser does not play files of this kind.", timeout=20 * SECONDS)
    expect(tab.locator(".vv video")).to_have_attribute("poster", re.compile("^data:image/jpeg"), timeout=20 * SECONDS)
    detect(tab)
    expect(tab.locator(".vv video")).to_have_js_property("videoWidth", 64)
    expect(tab.locator(".vv-unplayable")).to_be_hidden()


def test_files_are_saved(tab, walk, tmp_path):
    give(tab, walk)
    detect(tab)
    button = tab.get_by_role("button", name="Download")
    button.click()
    with tab.expect_download(timeout=20 * SECONDS) as caught:
        tab.get_by_role("menuitem", name="Download").click()
    assert caught.value.suggested_filename == "walk_detections.mp4"
    caught.value.save_as(tmp_path / "walk.mp4")
    assert (open_video(tmp_path / "walk.mp4").codec, open_video(tmp_path / "walk.mp4").has_audio) == ("h264", True)
    button.click()
    for name in ("CSV", "MOT"):
        tab.get_by_role("menuitemcheckbox", name=re.compile(f"^{name}")).click()
    with tab.expect_download(timeout=20 * SECONDS) as caught:
        tab.get_by_role("menuitem", name="Download").click()
    assert caught.value.suggested_filename == "walk_detections.zip"
    caught.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        table = next(name for name in archive.namelist() if name.endswith(".csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(table), "utf-8-sig")))
        assert any(name.endswith(".mp4") for name in archive.namelist())
    assert {row["track_id"] for row in rows} == {"1", "2"}
    expect(button).not_to_have_class(re.compile("dv-busy"))


@pytest.mark.slow
def test_the_example_comes_from_the_server(tab):
    expect(tab.locator(".dv-drop-limits")).to_contain_text("MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV or GIF, up to 60 s and 2 MB.")
    expect(tab.get_by_role("button", name="Download")).to_be_hidden()
    tab.get_by_role("button", name="Try an example").click()
    expect(tab.locator(".vv-facts")).to_contain_text("640×360 · 0:08", timeout=30 * SECONDS)
    expect(tab.locator(".vv video")).to_have_js_property("videoWidth", 640)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_a_phone_that_does_not_scroll_sideways(page, address, walk, theme):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}?__theme={theme}")
    expect(page.get_by_text(TAKES_VIDEOS)).to_be_visible(timeout=30 * SECONDS)
    give(page, walk)
    detect(page)
    violations = Axe().run(page, context=".vv").response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
