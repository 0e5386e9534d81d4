"""What a visitor does to choose between models: compares them on an image, moves thresholds, downloads everything, shares a link."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from detection_core.formats import to_coco_results
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.shared.kept_images import KeptImages
from tests.browser.errors import no_errors
from tests.browser.test_batch_tab import TAKES_IMAGES, wait_until_quiet
from tests.download_host import machine_without_weights
from tests.factories import make_detections
from tests.random_models import save_random_weights
from tests.ui.model_files import PETS, put_model

pytestmark = pytest.mark.browser

SSDLITE = "ssdlite320_mobilenet_v3_large"
HOPPER = ASSETS / "examples" / "grace_hopper.jpg"
CAMERAMAN = ASSETS / "examples" / "cameraman.jpg"
SECONDS = 1000


@pytest.fixture(scope="module")
def address(serve, new_engine, tmp_path_factory):
    """The whole app with SSDlite's weights on disk, a user's model, a place to keep images, and nothing to be downloaded."""
    home = tmp_path_factory.mktemp("home")
    with machine_without_weights(home) as patch:
        patch.setenv("DETECTION_EXPLORER_MODELS_DIR", str(home))
        put_model(home / "pets.pt")
        save_random_weights(get_model_spec(SSDLITE), home / "hub" / "checkpoints")
        engine = new_engine()
        yield serve(build_app(engine, keep=KeptImages(home / "kept")), **launch_options())
        engine.close()


def compare_example(page: Page, address: str) -> Iterator[Locator]:
    """The tab with the example compared."""
    page.set_viewport_size({"width": 1440, "height": 900})
    with no_errors(page):
        page.goto(address)
        page.get_by_role("tab", name="Compare").click()
        expect(facts(page).nth(1)).to_contain_text("object", timeout=30 * SECONDS)
        yield page.locator(".cv")


@pytest.fixture
def compared(page: Page, address: str) -> Iterator[Locator]:
    yield from compare_example(page, address)


@pytest.fixture(scope="module")
def visit(module_context: BrowserContext, address: str) -> Iterator[Locator]:
    """The same, opened once for several tests, which leave the models and the image as they are."""
    page = module_context.new_page()
    yield from compare_example(page, address)
    page.close()


def facts(page: Page) -> Locator:
    """What each view says of its model: "3 objects · from 0.50"."""
    return page.locator(".cv-panes .cv-pane-facts")


def add_file(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add results from a file").click()
    chooser.value.set_files(path)


def test_opens_with_the_example_compared(visit):
    titles = visit.locator(".cv-panes .cv-pane-title")
    expect(titles).to_have_text([get_model_spec(key).title for key in (COCO_MODEL, PERSON_MODEL)])
    expect(facts(visit.page)).to_have_text([re.compile(r"^[1-9] objects? · from 0\.\d\d$")] * 2)


def test_a_moved_threshold_changes_counts_without_a_request(visit):
    page = visit.page
    visit.get_by_role("button", name="Same threshold").click()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    slider = visit.get_by_label("Threshold", exact=True)
    slider.fill("0.2")
    before = facts(page).all_inner_texts()
    slider.fill("0.99")
    expect(facts(page).first).not_to_have_text(before[0])
    assert [url for url in requests if not url.startswith(("data:", "blob:"))] == []
    visit.get_by_role("button", name="Default thresholds").click()


def test_differences_and_the_archive_with_everything(visit, tmp_path):
    visit.get_by_role("button", name="Difference").click()
    expect(visit).to_contain_text("only A")
    with visit.page.expect_download(timeout=30 * SECONDS) as caught:
        visit.get_by_role("button", name="Download").click()
    assert caught.value.suggested_filename == "grace_hopper_comparison.zip"
    caught.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        report = json.loads(archive.read("comparison.json"))
        with Image.open(archive.open(f"difference_{COCO_MODEL}_{PERSON_MODEL}.png")) as image:
            assert image.width == 512
    assert [model["name"] for model in report["models"]] == [COCO_MODEL, PERSON_MODEL]
    labels = [{thing["label"] for thing in model["objects"]} for model in report["models"]]
    assert "person" in labels[0]
    assert labels[1] == {"person"}


@pytest.mark.slow
def test_models_are_measured_in_turns(compared):
    button = compared.get_by_role("button", name=re.compile("Measure"))
    button.evaluate(
        """(button) => {
          window.said = [];
          const observer = new MutationObserver(() => said.push(button.textContent));
          observer.observe(button, { childList: true, subtree: true, characterData: true });
        }"""
    )
    button.click()
    expect(compared.locator(".cv-costs")).to_contain_text("5 runs", timeout=60 * SECONDS)
    expect(compared.locator(".cv-costs")).to_contain_text("MB")
    said = compared.page.evaluate("said")
    assert re.fullmatch(r"Measuring: \d+%", said[0])
    assert said[-1] == "Measure on this image"


@pytest.mark.slow
def test_a_third_model_that_is_missing_does_not_affect_the_others(compared):
    page = compared.page
    page.get_by_role("button", name="Add a model").click()
    expect(facts(page).nth(2)).to_contain_text("object", timeout=20 * SECONDS)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden(timeout=20 * SECONDS)
    # The answer to that comparison also writes the lists anew.
    wait_until_quiet(page)
    page.get_by_label("Model C", exact=True).select_option("fcos_resnet50_fpn")
    expect(compared).to_contain_text("Not downloaded yet", timeout=20 * SECONDS)
    page.get_by_role("button", name="Download 130 MB and compare").click()
    expect(compared).to_contain_text("The model is not available", timeout=30 * SECONDS)
    expect(facts(page).first).to_have_text(re.compile(r"^[2-9] objects"))


@pytest.mark.slow
def test_results_of_another_tool_join_and_leave(compared, tmp_path):
    page = compared.page
    entries = to_coco_results(make_detections(3, image_size=(512, 512)), 7)
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(entries))
    add_file(page, path)
    expect(compared).to_contain_text("theirs.json", timeout=20 * SECONDS)
    expect(facts(page)).to_have_count(3)
    page.get_by_role("button", name="Remove results from files").click()
    expect(facts(page)).to_have_count(2, timeout=20 * SECONDS)
    path.write_text(json.dumps([*entries, 7]))
    add_file(page, path)
    expect(compared).to_contain_text("cannot be used", timeout=20 * SECONDS)
    page.get_by_role("button", name="Add it without invalid entries").click()
    expect(compared.locator(".dv-notes")).to_contain_text("1 of 4 entries is invalid and skipped", timeout=20 * SECONDS)
    expect(facts(page)).to_have_count(3)
    expect(page.get_by_role("button", name="Add it without invalid entries")).to_be_hidden()


@pytest.mark.slow
def test_a_link_reproduces_everything_for_another_visitor(compared, browser):
    page = compared.page
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").last.click()
    page.locator("input[type=file][accept*=image]").last.set_input_files(CAMERAMAN)
    expect(page.locator(".cv img").first).to_have_attribute("src", re.compile("cameraman"), timeout=20 * SECONDS)
    page.get_by_label("Model B", exact=True).select_option("pets")
    expect(compared).to_contain_text(PETS[0], timeout=20 * SECONDS)
    compared.get_by_role("button", name="Same number").click()
    compared.get_by_role("button", name="Link").click()
    # An example, even when it is uploaded, needs no keeping.
    field = compared.get_by_label("Link to this comparison")
    expect(field).to_be_visible()
    link = field.input_value()
    assert "image=example:cameraman" in link
    other = browser.new_context().new_page()
    other.goto(link)
    expect(facts(other)).to_have_text(facts(page).all_inner_texts(), timeout=30 * SECONDS)
    expect(other.get_by_label("Model B", exact=True)).to_have_value("pets")
    expect(other.get_by_role("button", name="Same number")).to_have_attribute("aria-pressed", "true")
    other.context.close()


@pytest.mark.slow
def test_an_image_of_ones_own_is_kept_only_when_asked(compared, address, tmp_path, browser):
    page = compared.page
    with Image.open(HOPPER) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mine.jpg")
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").last.click()
    page.locator("input[type=file][accept*=image]").last.set_input_files(tmp_path / "mine.jpg")
    expect(page.locator(".cv img").first).to_have_attribute("src", re.compile("mine"), timeout=20 * SECONDS)
    expect(facts(page).nth(1)).to_contain_text("object", timeout=20 * SECONDS)
    compared.get_by_role("button", name="Link").click()
    expect(compared.get_by_label("Link to this comparison")).to_be_hidden()
    compared.get_by_role("button", name="Keep the image").click()
    field = compared.get_by_label("Link to this comparison")
    expect(field).to_be_visible(timeout=20 * SECONDS)
    query = urlsplit(field.input_value()).query
    assert "image=kept:" in query
    other = browser.new_context().new_page()
    other.goto(f"{address}?{query}")
    expect(other.locator(".cv img").first).to_have_js_property("naturalWidth", 512, timeout=30 * SECONDS)
    expect(facts(other).first).to_contain_text("object", timeout=30 * SECONDS)
    other.context.close()


@pytest.mark.slow
def test_a_link_whose_image_is_gone_says_so(page, address):
    page.goto(f"{address}?tab=compare&image=kept:gone")
    expect(page.get_by_text("The image of this link is no longer on this server.").first).to_be_visible(timeout=30 * SECONDS)


@pytest.mark.slow
def test_a_card_of_the_batch_opens_in_detect(compared):
    page = compared.page
    page.get_by_role("tab", name="Batch").click()
    expect(page.get_by_text(TAKES_IMAGES)).to_be_visible(timeout=20 * SECONDS)
    page.locator("input[type=file][multiple]").first.set_input_files([CAMERAMAN])
    card = page.get_by_role("button", name=re.compile("cameraman"))
    expect(card).to_be_visible(timeout=20 * SECONDS)
    expect(page.get_by_text("1 person", exact=True).last).to_be_visible(timeout=30 * SECONDS)
    card.click()
    expect(page.get_by_role("tab", name="Detect")).to_have_attribute("aria-selected", "true", timeout=10 * SECONDS)
    expect(page.locator(".dv img").first).to_have_attribute("src", re.compile("cameraman"), timeout=20 * SECONDS)
    expect(page.locator(".dv tbody tr").first).to_contain_text("person", timeout=20 * SECONDS)
