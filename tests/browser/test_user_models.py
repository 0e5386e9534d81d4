"""A user's models in the page: they come with their files, work like all others, and go with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from detection_core.engine import LocalEngine
from detection_core.models.catalog import list_models
from detection_core.models.user_models import MODELS_DIR
from detection_core.ui.app import build_app, launch_options
from tests.browser.errors import no_errors
from tests.ui.model_files import put_model, put_skeletons

pytestmark = pytest.mark.browser

SECONDS = 1000
SCRIPT = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The only folder with models."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_DIR, str(folder))
        yield folder


@pytest.fixture(scope="module")
def address(serve, folder):
    """The whole app, started while the folder is empty."""
    engine = LocalEngine()
    yield serve(build_app(engine), **launch_options())
    engine.close()


@pytest.fixture
def visit(page: Page, address: str, folder: Path):
    """Opens the page; the folder is empty again when it is over."""
    page.set_viewport_size({"width": 1440, "height": 900})

    def opened() -> Page:
        page.goto(address)
        expect(page.locator(".picker-label select")).to_be_visible(timeout=30 * SECONDS)
        return page

    with no_errors(page):
        yield opened
        for path in folder.iterdir():
            path.unlink()
    assert page.evaluate("window.hacked") is None


def yours(page: Page):
    return page.locator(".picker optgroup[label='Your models'] option")


def test_a_model_appears_detects_and_its_removal_is_reported(visit, folder):
    path = put_model(folder / "pets.pt", ("cat", f"dog {SCRIPT}"))
    visited = visit()
    expect(yours(visited)).to_have_text(["pets"], timeout=30 * SECONDS)
    visited.locator(".picker-label select").select_option("pets")
    expect(visited.locator(".dv-model")).to_have_text("pets", timeout=30 * SECONDS)
    expect(visited.locator(".dv-chip-name")).to_have_text(["cat", f"dog {SCRIPT}"])
    expect(visited.locator(".dv-chip").nth(1)).to_have_attribute("title", f"dog {SCRIPT}")
    expect(visited.locator(".dv-label:not([hidden])").filter(has_text="dog <img src=x onerror=wind… 0.33").first).to_be_visible()
    expect(visited.locator(".picker .best-for")).to_contain_text(f"2 classes: cat, dog {SCRIPT}")
    expect(visited.locator(".picker .card dt")).to_have_text(["Parameters", "File"])
    expect(visited.locator(".picker .card")).not_to_contain_text("Measured")
    rows = visited.locator(".dv tbody tr:not([hidden])").count()
    assert rows > 0

    path.unlink()
    visited.get_by_role("button", name="Detect", exact=True).click()
    expect(visited.get_by_role("alert")).to_contain_text("There is no model “pets” here", timeout=20 * SECONDS)
    expect(yours(visited)).to_have_text(["pets (no longer there)"])
    expect(visited.locator(".picker-label select")).to_have_value("pets")
    expect(visited.locator(".dv tbody tr:not([hidden])")).to_have_count(rows)


@pytest.mark.slow
def test_a_skeleton_of_other_keypoints_is_drawn_filtered_and_saved(visit, folder, tmp_path):
    put_skeletons(folder / "hands.pt")
    visited = visit()
    expect(yours(visited)).to_have_text(["hands"], timeout=30 * SECONDS)
    visited.locator(".picker-label select").select_option("hands")
    expect(visited.locator(".dv-model")).to_have_text("hands", timeout=30 * SECONDS)
    keypoints = visited.locator(".dv tbody tr:not([hidden])").first.locator("td").last
    expect(keypoints).to_have_text("7")
    expect(visited.locator(".dv-layer-skeletons .dv-keypoint.dv-left").first).to_have_attribute("d", re.compile("M"))
    visited.get_by_label("Keypoint confidence").fill("10")
    expect(keypoints).to_have_text("0")
    with visited.expect_download(timeout=20 * SECONDS) as caught:
        visited.get_by_role("button", name="Download PNG").click()
    caught.value.save_as(tmp_path / "hands.png")
    assert caught.value.suggested_filename == "grace_hopper_hands.png"
    with Image.open(tmp_path / "hands.png") as image:
        assert image.size == (512, 600)


@pytest.mark.slow
def test_the_models_tab_notices_what_comes_and_goes(visit, folder):
    visited = visit()
    expect(yours(visited)).to_have_count(0)
    region = visited.get_by_role("region", name="All models")
    rejected = visited.get_by_role("region", name="Files that cannot be used")
    put_model(folder / "pets.pt", metrics={"box_map": 1.5})
    (folder / f"{SCRIPT}.pt").write_text("not a model")
    visited.get_by_role("tab", name="Models").click()
    expect(region.locator("th.group")).to_have_text(["Your models", "Built in and torchvision's"])
    expect(region.locator("tbody").first).to_contain_text("pets")
    expect(region.locator("tbody").first).to_contain_text("1.5")
    expect(region.locator("tbody tr:has(td)")).to_have_count(len(list_models()))
    region.get_by_role("button", name="Box AP").click()
    expect(region.locator("tbody").first).to_contain_text("pets")
    expect(rejected.get_by_role("listitem")).to_have_count(1)
    expect(rejected.get_by_role("listitem")).to_contain_text(f"{SCRIPT}.pt")
    expect(rejected.get_by_role("listitem")).to_contain_text("no file of PyTorch weights")
    violations = Axe().run(visited).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
    visited.set_viewport_size({"width": 390, "height": 844})
    assert visited.evaluate("document.documentElement.scrollWidth") <= 390
    visited.set_viewport_size({"width": 1280, "height": 900})

    visited.get_by_role("tab", name="Detect").click()
    expect(yours(visited)).to_have_text(["pets"])
    for path in folder.iterdir():
        path.unlink()
    visited.get_by_role("tab", name="Models").click()
    expect(rejected).to_be_hidden()
    expect(region.locator("th.group")).to_have_count(0)
    visited.get_by_role("tab", name="Detect").click()
    expect(yours(visited)).to_have_count(0)
