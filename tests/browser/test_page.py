"""What a visitor does: opens the page, gives an image, picks a model, moves the threshold, downloads."""

from __future__ import annotations

import io
import itertools
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from detection_core.engine import LocalEngine
from detection_core.engine.ray import RayEngine
from detection_core.formats import from_json
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec, list_models, list_specs
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.shared.examples import EXAMPLE_PATHS, warm_up
from tests.download_host import machine_without_weights
from tests.random_models import save_random_weights

pytestmark = pytest.mark.browser

EXAMPLES = ASSETS / "examples"
SSDLITE = "ssdlite320_mobilenet_v3_large"
SECONDS = 1000
with Image.open(EXAMPLE_PATHS[0]) as first_example:
    FIRST_SIZE = first_example.size


@pytest.fixture(scope="module")
def address(serve, new_engine, tmp_path_factory):
    """The whole app, with SSDlite's weights on disk, two models whose download stalls, and others that cannot be had."""
    home = tmp_path_factory.mktemp("home")
    stalling = {get_model_spec(key).file_name: bytes(5_000_000) for key in ("fcos_resnet50_fpn", "retinanet_resnet50_fpn")}
    with machine_without_weights(home, files=stalling, hold_after=1_000_000):
        save_random_weights(get_model_spec(SSDLITE), home / "hub" / "checkpoints")
        engine = new_engine()
        warm_up(engine)
        yield serve(build_app(engine), **launch_options())
        engine.close()


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").first.click()
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def pick(page: Page, key: str) -> None:
    page.locator(".picker-label select").select_option(key)


def shown_size(page: Page) -> tuple[int, int]:
    """Size of the image that the view shows."""
    size = "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    width, height = page.locator(".dv img").first.evaluate(size)
    return width, height


@pytest.fixture
def skeleton(opened: Page) -> Page:
    """The page with a person seen by the model that gives persons' masks and keypoints."""
    opened.get_by_role("button", name="Astronaut").click()
    expect(opened.locator(".dv img").first).to_have_attribute("src", re.compile("astronaut"), timeout=20 * SECONDS)
    pick(opened, PERSON_MODEL)
    expect(opened.locator(".dv-model")).to_have_text(get_model_spec(PERSON_MODEL).title, timeout=20 * SECONDS)
    expect(opened.locator(".dv tbody tr:visible")).to_have_count(1)
    return opened


def test_opens_with_an_example_already_detected(opened):
    expect(opened.locator(".dv-model")).to_have_text(get_model_spec(COCO_MODEL).title)
    expect(opened.locator(".dv tbody tr").first).to_contain_text("person")
    assert shown_size(opened) == FIRST_SIZE


def test_an_uploaded_image_is_detected_without_another_click(opened):
    with Image.open(EXAMPLES / "astronaut.jpg") as image:
        upload(opened, "uploaded.png", png(image))
    expect(opened.locator(".dv img").first).to_have_attribute("src", re.compile("uploaded"), timeout=20 * SECONDS)
    assert shown_size(opened) == image.size
    expect(opened.locator(".dv tbody tr").first).to_contain_text("person", timeout=20 * SECONDS)


def test_an_example_is_one_click(opened):
    opened.get_by_role("button", name="Cameraman").click()
    expect(opened.locator(".dv img").first).to_have_js_property("naturalWidth", 512, timeout=20 * SECONDS)
    expect(opened.locator(".dv img").first).to_have_attribute("src", re.compile("cameraman"), timeout=20 * SECONDS)
    expect(opened.locator(".dv tbody tr").first).to_be_visible(timeout=20 * SECONDS)


def test_a_model_on_disk_runs_as_soon_as_it_is_picked(opened):
    pick(opened, SSDLITE)
    expect(opened.locator(".picker")).to_contain_text("Phones and live video")
    expect(opened.locator(".dv")).to_contain_text("SSDlite320 MobileNetV3", timeout=20 * SECONDS)
    expect(opened.locator(".picker .card")).to_contain_text("in memory", timeout=20 * SECONDS)


def test_a_model_that_cannot_be_downloaded_says_why_and_nothing_is_lost(opened):
    rows = opened.locator(".dv tbody tr:visible").count()
    pick(opened, "maskrcnn_resnet50_fpn_v2")
    button = opened.get_by_role("button", name="Download 186 MB and detect")
    expect(button).to_be_visible(timeout=10 * SECONDS)
    button.click()
    alert = opened.locator(".dv").get_by_text("The model is not available")
    expect(alert).to_be_visible(timeout=30 * SECONDS)
    expect(opened.locator(".dv")).to_contain_text("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth")
    expect(opened.locator(".dv")).to_contain_text(PERSON_MODEL)
    assert shown_size(opened) == FIRST_SIZE
    assert opened.locator(".dv tbody tr:visible").count() == rows


@pytest.mark.slow
def test_a_download_can_be_cancelled(opened):
    pick(opened, "fcos_resnet50_fpn")
    opened.get_by_role("button", name="Download 130 MB and detect").click()
    expect(opened.locator(".dv")).to_contain_text("Downloading FCOS ResNet-50 FPN", timeout=20 * SECONDS)
    opened.get_by_role("button", name="Cancel").click()
    expect(opened.locator(".dv")).to_contain_text("Cancelled", timeout=20 * SECONDS)
    expect(opened.locator(".dv-status")).to_be_hidden()
    expect(opened.get_by_role("button", name="Cancel")).to_be_hidden()


@pytest.mark.slow
def test_choosing_another_model_ends_what_was_under_way(opened):
    pick(opened, "retinanet_resnet50_fpn")
    opened.get_by_role("button", name="Download 137 MB and detect").click()
    expect(opened.locator(".dv")).to_contain_text("Downloading RetinaNet", timeout=20 * SECONDS)
    pick(opened, "ssd300_vgg16")
    expect(opened.get_by_role("button", name="Download 143 MB and detect")).to_be_visible(timeout=20 * SECONDS)
    expect(opened.locator(".dv-status")).to_be_hidden(timeout=20 * SECONDS)
    assert opened.locator(".picker-label select").input_value() == "ssd300_vgg16"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("holiday.jpg", b"this is text, not an image", "text"),
        pytest.param("empty.png", b"", "empty", marks=pytest.mark.slow),
        pytest.param("image.heic", b"\0\0\0\x18ftypheic" + b"\0" * 64, "HEIC", marks=pytest.mark.slow),
    ],
    ids=["text", "empty", "heic"],
)
def test_a_bad_file_is_explained_in_the_page(opened, name, content, message):
    upload(opened, name, content)
    expect(opened.locator(".dv")).to_contain_text("This image cannot be used", timeout=20 * SECONDS)
    expect(opened.locator(".dv")).to_contain_text(message)
    assert "Traceback" not in opened.content()
    assert shown_size(opened) == FIRST_SIZE


@pytest.mark.slow
def test_a_sixteen_bit_image_is_shown_as_the_model_sees_it(opened):
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (128, 1))
    upload(opened, "ramp.png", png(Image.fromarray(ramp)))
    expect(opened.locator(".dv")).to_contain_text("16-bit", timeout=20 * SECONDS)
    expect(opened.locator(".dv img").first).to_have_attribute("src", re.compile(r"ramp\.jpg"))


def test_the_download_is_the_image_at_full_resolution_with_the_same_settings(skeleton, tmp_path):
    def download() -> np.ndarray:
        with skeleton.expect_download(timeout=20 * SECONDS) as caught:
            skeleton.get_by_role("button", name=re.compile("Download PNG")).click()
        assert caught.value.suggested_filename == f"astronaut_{PERSON_MODEL}.png"
        path = Path(tmp_path / "image.png")
        caught.value.save_as(path)
        with Image.open(path) as image:
            assert image.format == "PNG"
            return np.asarray(image).astype(int)

    with Image.open(EXAMPLES / "astronaut.jpg") as image:
        original = np.asarray(image).astype(int)
    annotated = download()
    assert annotated.shape == original.shape
    assert (np.abs(annotated - original).max(axis=2) > 30).mean() > 0.02
    for layer in ("Boxes", "Skeletons", "Labels", "Contours"):
        skeleton.get_by_role("button", name=layer, exact=True).click()
    difference = np.abs(download() - original).max(axis=2)
    assert (difference > 0).mean() > 0.05
    # Fills are blended at 40 %; lines and labels would be opaque.
    assert difference.max() <= 0.41 * 255
    skeleton.locator(".dv").get_by_role("button", name=re.compile("^person")).click()
    expect(skeleton.locator(".dv tbody tr:visible")).to_have_count(0)
    np.testing.assert_array_equal(download(), original)


@pytest.mark.slow
def test_other_formats_are_in_a_menu(skeleton, tmp_path):
    skeleton.get_by_role("button", name="Other formats").click()
    with skeleton.expect_download(timeout=20 * SECONDS) as caught:
        skeleton.get_by_role("menuitem", name=re.compile("^JSON")).click()
    assert caught.value.suggested_filename == f"astronaut_{PERSON_MODEL}.json"
    caught.value.save_as(tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())
    assert [entry["label"] for entry in content["objects"]] == ["person"]
    assert content["provenance"]["threshold"] == get_model_spec(PERSON_MODEL).default_threshold
    assert len(from_json(content)) == 1


@pytest.mark.slow
def test_the_models_tab_sorts(opened):
    opened.get_by_role("tab", name="Models").click()
    region = opened.get_by_role("region", name="All models")
    first = region.locator("tbody tr").first
    expect(region.locator("tbody tr")).to_have_count(len(list_models()))
    expect(first).to_contain_text("Keypoint R-CNN")
    region.get_by_role("button", name="GFLOPs").click()
    expect(first).to_contain_text("Mask R-CNN ResNet-50 FPN v2")
    region.get_by_role("button", name="GFLOPs").click()
    least = min(list_specs(), key=lambda spec: spec.gflops)
    expect(first).to_contain_text(least.title)
    expect(opened.locator("#accuracy-cost svg:visible")).to_have_count(1)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 900, 700, 390])
def test_the_chart_is_as_wide_as_the_page_and_its_names_are_legible_and_apart(page, address, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    page.get_by_role("tab", name="Models").click()
    chart = page.locator("#accuracy-cost svg:visible")
    expect(chart).to_have_count(1, timeout=30 * SECONDS)
    assert chart.bounding_box()["width"] > 0.9 * width
    boxes = [text.bounding_box() for text in chart.locator("text").all()]
    # Chromium's sizes are a little off.
    assert min(min(box["width"], box["height"]) for box in boxes if box["width"] > 20) >= 10 - 1e-3
    for one, other in itertools.combinations(boxes, 2):
        apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        # The boxes of lines of text reach a little beyond their letters.
        assert apart or one["y"] + 0.8 * one["height"] <= other["y"] or other["y"] + 0.8 * other["height"] <= one["y"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_all_tabs_are_in_one_line(page, address, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(address)
    names = ["Detect", "Compare", "Live", "Video", "Batch", "Evaluate", "Models"]
    expect(page.get_by_role("tab")).to_have_text(names, timeout=30 * SECONDS)
    assert len({tab.bounding_box()["y"] for tab in page.get_by_role("tab").all()}) == 1
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("tab", name="Models")).to_have_attribute("aria-selected", "true")


@pytest.mark.slow
def test_on_a_phone_the_answer_comes_into_view(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Cameraman").click()
    expect(page.locator(".dv-frame")).to_be_in_viewport(ratio=0.9, timeout=20 * SECONDS)
    page.evaluate("scrollTo(0, 0)")
    # The result is kept, so that nothing changes but the place.
    page.get_by_role("button", name="Detect", exact=True).first.click()
    expect(page.locator(".dv-frame")).to_be_in_viewport(ratio=0.9)


def test_on_a_laptop_all_that_detecting_needs_is_seen_without_scrolling(opened):
    button = opened.get_by_role("button", name="Detect", exact=True).first
    for part in (button, opened.get_by_role("combobox", name="Model", exact=True), opened.locator(".dv-frame")):
        expect(part).to_be_in_viewport(ratio=1)
    expect(opened.get_by_role("slider", name="Threshold").first).to_be_in_viewport(ratio=1)
    expect(opened.locator(".variant > summary").first).to_have_text(re.compile(r"^Advanced .*300 px · no slices$"))


def test_a_visitor_who_leaves_is_noticed(opened, monkeypatch):
    left = threading.Event()
    for engine in (LocalEngine, RayEngine):
        monkeypatch.setattr(engine, "cancel_visitor", lambda self, visitor: left.set())
    opened.close()
    assert left.wait(20)
