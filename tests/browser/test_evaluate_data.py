"""Annotated images in a browser: the formats that are known, chosen as an archive or a folder, or dropped."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from detection_core.ui.components.modules import MODULES
from detection_core.ui.evaluate.tab import EvaluateTab
from detection_core.ui.theme import CSS, theme
from tests.coco_folders import coco_folder
from tests.datasets.test_coco_layout import TRAIN, VAL, laid_out
from tests.datasets.test_voc import an_object, voc_folder
from tests.datasets.test_yolo import ROBOFLOW, ULTRALYTICS, yolo_folder
from tests.ui.evaluate.test_tab import find_all
from tests.ui.fake_engine import FakeEngine

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECONDS = 1000
LABELS = {"a": "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.1 0.1", "b": None}
FORMATS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "coco": (lambda path: coco_folder(path, keypoints=False), "4 images"),
    "coco layout": (lambda path: laid_out(path, {VAL: "val2017"}), "1 image,"),
    "yolo": (lambda path: yolo_folder(path, ULTRALYTICS, LABELS), "2 images, 2 objects, 2 classes, with boxes"),
    "roboflow": (lambda path: yolo_folder(path, ROBOFLOW, LABELS, "valid/images"), "2 images, 2 objects, 2 classes, with boxes"),
    "voc": (lambda path: voc_folder(path, an_object(1, 1, 200, 100)), "1 image, 1 object, 1 class, with boxes"),
}


@pytest.fixture(scope="module")
def tab() -> EvaluateTab:
    return EvaluateTab(FakeEngine(find_all))


@pytest.fixture(scope="module")
def page(module_context: BrowserContext, serve: Callable[..., str], tab: EvaluateTab) -> Page:
    with gr.Blocks() as blocks:
        tab.layout()
        tab.wire(blocks)
    page = module_context.new_page()
    page.goto(serve(blocks, theme=theme(), css=CSS, app_kwargs={"routes": [MODULES.route()]}))
    expect(page.locator(".data")).to_contain_text("The built-in sample", timeout=30 * SECONDS)
    return page


@pytest.fixture
def folder(tmp_path: Path, name: str) -> Path:
    """The data of a format, in a folder of a name that is on the page only when it has been read."""
    return FORMATS[name][0](tmp_path / f"my {name}")


def zipped(folder: Path) -> Path:
    archive = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return archive


def choose_archive(page: Page, folder: Path) -> None:
    page.get_by_label("Zip archive with annotated images").set_input_files(zipped(folder))


def choose_folder(page: Page, folder: Path) -> None:
    page.get_by_label("Folder with annotated images").set_input_files(folder)


def drop(page: Page, path: Path) -> None:
    """Drops a file or a folder as the desktop does: scripts cannot make a drop with a folder."""
    box = page.locator(".data").bounding_box()
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20, "data": data})
    session.detach()


def drop_archive(page: Page, folder: Path) -> None:
    drop(page, zipped(folder))


WAYS = [choose_archive, choose_folder, drop_archive, drop]


def test_nothing_is_read_before_a_visitor_asks_for_it(page, tab):
    # Gradio's own HTML component has an event "load", which it fires when it is on the page.
    page.wait_for_timeout(2 * SECONDS)
    expect(page.locator("[data-ref=facts]")).to_contain_text("Too few to judge a model by")
    assert len(tab.evaluations) == 0


@pytest.mark.parametrize("give", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", FORMATS)
def test_data_of_each_format_is_taken(page, folder, name, give):
    page.get_by_role("button", name="Built-in sample").click()
    expect(page.locator(".data")).to_contain_text("Built-in sample: ", timeout=20 * SECONDS)
    give(page, folder)
    expect(page.locator("[data-ref=facts]")).to_contain_text(
        f"{folder.name}{'.zip' if 'archive' in give.__name__ else ''}: ", timeout=20 * SECONDS
    )
    expect(page.locator("[data-ref=facts]")).to_contain_text(FORMATS[name][1])
    expect(page.locator(".data .error")).to_be_hidden()


@pytest.mark.parametrize("give", [drop_archive, drop], ids=lambda way: way.__name__)
def test_a_part_of_the_data_is_chosen(page, tmp_path, give):
    give(page, laid_out(tmp_path / f"coco by {give.__name__}", {VAL: "val2017", TRAIN: "train2017"}))
    facts, part = page.locator("[data-ref=facts]"), page.get_by_role("combobox", name="Part", exact=True)
    expect(facts).to_contain_text(f"coco by {give.__name__}", timeout=20 * SECONDS)
    expect(facts).to_contain_text("1 image,")
    expect(part).to_have_value(VAL)
    part.select_option(TRAIN)
    expect(facts).to_contain_text("2 images,", timeout=20 * SECONDS)
    expect(part).to_have_value(TRAIN)
    page.get_by_role("button", name="Built-in sample").click()
    expect(part).to_be_hidden(timeout=20 * SECONDS)


@pytest.mark.parametrize("give", [choose_folder, drop_archive], ids=lambda way: way.__name__)
def test_other_folders_are_refused_with_what_was_looked_for(page, tmp_path, give):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "sunny.txt").write_text("20 degrees")
    give(page, folder)
    error = page.locator(".data .error")
    expect(error).to_contain_text("Looked for annotations.json", timeout=20 * SECONDS)
    expect(error).to_contain_text("data.yaml")
    expect(error).to_contain_text("There is: sunny.txt.")
    expect(error).not_to_contain_text(str(tmp_path.parent))
