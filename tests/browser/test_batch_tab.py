"""What a visitor does with many images: adds them, watches, filters, cancels, comes back, and takes everything home."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from detection_core.models.catalog import COCO_MODEL
from detection_core.ui.app import launch_options
from detection_core.ui.batch.tab import BatchTab
from tests.browser.errors import no_errors
from tests.ui.fake_engine import FakeEngine

pytestmark = pytest.mark.browser

SECONDS = 1000
# The tab's module writes it, and takes files from then on.
TAKES_IMAGES = re.compile(r"^Up to \d+ images at a time")
NAMES = ("beach.png", "city.png", "forest.png")
BROKEN = {"name": "letter.jpg", "mimeType": "image/jpeg", "buffer": b"this is text, not an image"}


@pytest.fixture(scope="module")
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="module")
def address(serve, engine):
    """The tab beside another one, with room for six images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETECTION_EXPLORER_MAX_BATCH", "6")
        tab = BatchTab(engine)
        with gr.Blocks(analytics_enabled=False) as page:
            with gr.Tab("Batch"):
                tab.layout()
                opened = gr.Textbox(label="Opened")
            with gr.Tab("Elsewhere"):
                gr.HTML("<p>Nothing here</p>")

            tab.wire(page)

            def show_opened(event: gr.EventData) -> str:
                path, model = tab.image_to_open(event._data)
                return f"{path.name} {model}"

            tab.view.open(show_opened, None, opened)
        yield serve(page, **launch_options())


@pytest.fixture
def batch(page: Page, address: str, engine: FakeEngine) -> Page:
    """The page, still empty."""
    with no_errors(page):
        page.goto(address)
        expect(page.get_by_text(TAKES_IMAGES)).to_be_visible(timeout=30 * SECONDS)
        yield page
        engine.release()


def png(size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "seagreen").save(buffer, "PNG")
    return buffer.getvalue()


def give(page: Page, *files: dict | str) -> None:
    """Chooses images, by name or as files with content."""
    payloads = [{"name": file, "mimeType": "image/png", "buffer": png()} if isinstance(file, str) else file for file in files]
    page.get_by_label("Images", exact=True).and_(page.locator("input")).set_input_files(payloads)


def cards(page: Page):
    return page.locator(".bv-card")


def expect_done(page: Page, n: int) -> None:
    expect(page.locator(".bv-card[data-state=done]")).to_have_count(n, timeout=20 * SECONDS)


def wait_until_quiet(page: Page) -> None:
    """Waits until no request has ended for half a second; Gradio's heartbeat never ends."""
    count = "performance.getEntriesByType('resource').length"
    before = -1
    while before != (now := page.evaluate(count)):
        before = now
        page.wait_for_timeout(500)


def move_threshold(page: Page, value: float) -> None:
    page.get_by_role("slider", name="Threshold").fill(str(value))


def test_good_images_are_counted_and_a_bad_one_says_why(batch):
    give(batch, *NAMES, BROKEN)
    expect_done(batch, 3)
    expect(cards(batch)).to_have_count(4)
    expect(cards(batch).first).to_contain_text("beach.png")
    # The model's default threshold lies between the second and the third object.
    expect(cards(batch).first).to_contain_text("2 persons")
    failed = batch.locator(".bv-card[data-state=failed]")
    expect(failed).to_contain_text("letter.jpg")
    expect(failed).to_contain_text("This is a text file, not an image.")
    expect(batch.locator(".bv-count")).to_have_text("4 images · 6 persons · 1 failed")
    expect(cards(batch).first.locator("img")).to_have_js_property("naturalWidth", 64)
    assert "Traceback" not in batch.content()


@pytest.mark.slow
def test_the_examples_are_added_as_files_are(batch):
    batch.get_by_role("button", name="Try the examples").click()
    expect_done(batch, 6)
    expect(cards(batch).first).to_contain_text("astronaut.jpg")
    expect(batch.get_by_text("Only 6 of 10 added: at most 6 images at a time.")).to_be_visible()
    expect(batch.get_by_role("button", name="Try the examples")).to_be_hidden()


def test_the_threshold_acts_at_once_without_a_request(batch):
    give(batch, *NAMES)
    expect_done(batch, 3)
    expect(batch.locator(".bv-progress")).to_be_hidden()
    wait_until_quiet(batch)
    asked: list[str] = []
    batch.on("request", lambda request: asked.append(request.url))
    move_threshold(batch, 0.1)
    expect(batch.locator(".bv-count")).to_have_text("3 images · 9 persons")
    # People are distinguished by color.
    expect(cards(batch).first.locator(".dv-line")).to_have_count(3)
    move_threshold(batch, 0.96)
    expect(cards(batch).first).to_contain_text("nothing")
    expect(cards(batch).first.locator(".dv-line")).to_have_count(0)
    batch.wait_for_timeout(400)
    assert asked == []


def test_cancelled_detection_continues_where_it_stopped(batch, engine):
    engine.holds = True
    give(batch, *NAMES)
    expect(batch.locator(".bv-card[data-state=detecting]")).to_have_count(2, timeout=20 * SECONDS)
    expect(batch.locator(".bv-progress")).to_contain_text("0 of 3 processed")
    while len(engine.waiting) < 2:
        batch.wait_for_timeout(50)
    waiting = engine.waiting
    batch.get_by_role("button", name="Cancel").click()
    expect(batch.locator(".bv-progress")).to_be_hidden()
    expect(batch.locator(".bv-card[data-state=waiting]")).to_have_count(3, timeout=20 * SECONDS)
    assert [job.cancelled for job in waiting] == [True, True]
    engine.release()
    batch.get_by_role("button", name="Detect").click()
    expect_done(batch, 3)


@pytest.mark.slow
def test_detection_continues_while_the_visitor_is_in_another_tab(batch, engine):
    engine.holds = True
    give(batch, *NAMES)
    expect(batch.locator(".bv-card[data-state=detecting]")).to_have_count(2, timeout=20 * SECONDS)
    batch.get_by_role("tab", name="Elsewhere").click()
    expect(batch.get_by_text("Nothing here")).to_be_visible()
    engine.release()
    batch.get_by_role("tab", name="Batch").click()
    expect_done(batch, 3)
    expect(batch.locator(".bv-count")).to_have_text("3 images · 6 persons")


def test_a_folder_gives_its_images(batch, tmp_path):
    folder = tmp_path / "holiday"
    (folder / "day 10").mkdir(parents=True)
    (folder / "day 2").mkdir()
    for name in ("day 10/a.png", "day 2/a.png"):
        (folder / name).write_bytes(png())
    (folder / "notes.txt").write_text("sunny")
    batch.get_by_label("Folder with images").set_input_files(folder)
    expect_done(batch, 2)
    names = cards(batch).locator(".bv-open").evaluate_all("buttons => buttons.map(button => button.title)")
    assert names == ["holiday/day 2/a.png", "holiday/day 10/a.png"]
    expect(batch.locator(".dv-notes")).to_contain_text("1 file in the folder left out: no image.")


@pytest.mark.slow
def test_dropped_files_are_taken(batch):
    batch.locator(".bv").evaluate(
        """(root, bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
          root.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        list(png()),
    )
    expect_done(batch, 1)
    expect(cards(batch)).to_contain_text("dropped.png")


@pytest.mark.slow
def test_more_images_than_allowed_are_left_out(batch):
    give(batch, *(f"{number}.png" for number in range(8)))
    expect(cards(batch)).to_have_count(6)
    expect(batch.locator(".dv-notes")).to_contain_text("Only 6 of 8 added: at most 6 images at a time.")
    expect_done(batch, 6)
    # What is taken away makes room, on the server too.
    batch.get_by_role("button", name="Remove").click()
    give(batch, *(f"other {number}.png" for number in range(6)))
    expect_done(batch, 6)


def test_the_archive_holds_what_is_chosen_and_seen(batch, tmp_path):
    give(batch, *NAMES, BROKEN)
    expect_done(batch, 3)
    batch.get_by_label("Choose city.png").uncheck()
    move_threshold(batch, 0.5)
    batch.get_by_role("button", name="Download").click()
    batch.get_by_role("menuitemcheckbox", name="CSV").click()
    with batch.expect_download(timeout=20 * SECONDS) as caught:
        batch.get_by_role("menuitem", name="Download ZIP").click()
    assert caught.value.suggested_filename == f"detections_{COCO_MODEL}.zip"
    caught.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
        assert [name.split("_")[0] for name in names if name.endswith(".png")] == ["beach", "forest"]
        assert not [name for name in names if "city" in name or "letter" in name]
        (table,) = (name for name in names if name.endswith(".csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(table), "utf-8-sig")))
        with Image.open(archive.open(next(name for name in names if name.endswith(".png")))) as image:
            assert image.size == (64, 48)
    assert len(rows) == 4
    expect(batch.get_by_role("button", name="Download")).not_to_have_class(re.compile("dv-busy"))


@pytest.mark.slow
def test_coco_files_get_the_ids_of_an_annotation_file(batch, tmp_path):
    listed = [{"id": 7, "file_name": "beach.png"}, {"id": 900000, "file_name": "sub/city.png"}]
    file = tmp_path / "own annotations.json"
    file.write_text(json.dumps({"images": listed, "categories": [{"id": 3, "name": "Person"}]}))
    give(batch, "beach.png", "city.png")
    expect_done(batch, 2)
    batch.get_by_role("button", name="Download").click()
    choice = batch.get_by_role("menuitemcheckbox", name="Ids of")
    expect(choice).to_have_count(0)
    for name in ("JSON", "Annotated PNG", "COCO results"):
        batch.get_by_role("menuitemcheckbox", name=name).click()
    expect(choice).to_contain_text("Ids of an annotation file")
    with batch.expect_file_chooser() as chooser:
        choice.click()
    chooser.value.set_files(file)
    expect(choice).to_contain_text("Ids of own annotations.json")
    expect(choice).to_have_attribute("aria-checked", "true")
    with batch.expect_download(timeout=20 * SECONDS) as caught:
        batch.get_by_role("menuitem", name="Download ZIP").click()
    caught.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        results = json.loads(archive.read("coco_results.json"))
    assert {(entry["file_name"], entry["image_id"]) for entry in results} == {("beach.png", 7), ("city.png", 900000)}
    assert {entry["category_id"] for entry in results} == {3}
    expect(batch.locator(".bv .dv-notes")).to_contain_text("Image ids are those of own annotations.json; so are category ids.")
    batch.get_by_role("button", name="Download").click()
    choice.click()
    expect(choice).to_contain_text("Ids of an annotation file")
    file.write_text("this is no JSON")
    with batch.expect_file_chooser() as chooser:
        choice.click()
    chooser.value.set_files(file)
    expect(choice).to_have_attribute("aria-checked", "true")
    batch.get_by_role("menuitem", name="Download ZIP").click()
    expect(batch.get_by_text("own annotations.json is not valid JSON")).to_be_visible(timeout=20 * SECONDS)


@pytest.mark.slow
def test_the_menu_works_by_keyboard(batch):
    give(batch, "beach.png")
    expect_done(batch, 1)
    button = batch.get_by_role("button", name="Download")
    button.focus()
    batch.keyboard.press("Enter")
    first = batch.get_by_role("menuitemcheckbox").first
    expect(first).to_be_focused()
    expect(first).to_have_attribute("aria-checked", "true")
    batch.keyboard.press("Space")
    expect(first).to_have_attribute("aria-checked", "false")
    batch.keyboard.press("End")
    expect(batch.get_by_role("menuitem", name="Download ZIP")).to_be_focused()
    batch.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")


def test_the_table_sorts_and_opens_an_image(batch):
    wide = {"name": "wide.png", "mimeType": "image/png", "buffer": png((90, 60))}
    give(batch, *NAMES, wide)
    expect_done(batch, 4)
    batch.get_by_role("button", name="Table").click()
    rows = batch.locator(".bv tbody tr")
    expect(rows.first).to_contain_text("beach.png")
    batch.get_by_role("button", name="Pixels").click()
    expect(rows.first).to_contain_text("wide.png")
    expect(rows.first).to_contain_text("90×60")
    rows.first.get_by_role("button", name="wide.png").click()
    expect(batch.get_by_label("Opened")).to_have_value(f"wide.png {COCO_MODEL}", timeout=20 * SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_a_phone_that_does_not_scroll_sideways(page, address, theme):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}?__theme={theme}")
    expect(page.get_by_text(TAKES_IMAGES)).to_be_visible(timeout=30 * SECONDS)
    give(page, *NAMES, BROKEN)
    expect_done(page, 3)
    for mode in ("Gallery", "Table"):
        page.get_by_role("button", name=mode).click()
        violations = Axe().run(page, context=".bv").response["violations"]
        assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
