"""The slices of an image in the view of Detect, in real Chromium: the grid, the marks and the filter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from detection_core.slicing import tile_grid
from detection_core.ui.detect.view import DetectionView, ViewSettings, view_payload
from detection_core.ui.theme import CSS, theme
from tests.factories import make_detections

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZE = (300, 400)
# Scores are 0.95, 0.525 and 0.1: at 0.5 only slices found the second.
FOUND = replace(make_detections(3, image_size=SIZE, masks=True, model="m@slices128"), whole_scores=np.array([0.9, 0.3, 0.05], np.float32))


@pytest.fixture(scope="module")
def url(serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    file: Path = tmp_path_factory.mktemp("slices") / "image.png"
    Image.new("RGB", SIZE[::-1], (90, 120, 90)).save(file)
    sliced = view_payload(FOUND, file, threshold=0.5, tiles=tile_grid(SIZE, 128))
    whole = view_payload(replace(FOUND, whole_scores=None), file, threshold=0.5)
    with gr.Blocks() as blocks:
        view = DetectionView(sliced)
        visible = gr.Textbox(label="Visible")

        def see(settings: ViewSettings) -> str:
            return str(settings.visible(FOUND).tolist())

        gr.Button("See").click(see, view, visible)
        gr.Button("Whole").click(lambda: whole, None, view)
    return serve(blocks, theme=theme(), css=CSS, allowed_paths=[str(file.parent)])


def test_grid_marks_and_filter(page: Page, url: str):
    page.goto(url)
    rows = page.locator(".dv tbody tr:visible")
    expect(rows).to_have_count(2, timeout=30_000)
    expect(page.get_by_text("slices of 128×128 pixels; 1 object found in slices only.")).to_be_visible()
    assert [rows.nth(i).get_by_role("img", name="Found in slices only").is_visible() for i in (0, 1)] == [False, True]
    grid = page.locator(".dv-slices-overlay")
    expect(grid).to_be_visible()
    assert grid.locator(".dv-line").get_attribute("d").count("M") == len(tile_grid(SIZE, 128))
    page.get_by_role("button", name="Show grid").click()
    expect(grid).to_be_hidden()

    page.get_by_role("button", name="Only found in slices").click()
    expect(rows).to_have_count(1)
    # The settings are sent a moment later.
    page.wait_for_timeout(500)
    page.get_by_role("button", name="See").click()
    # The server, which writes downloads, agrees.
    expect(page.get_by_label("Visible")).to_have_value("[False, True, False]")

    page.get_by_role("button", name="Whole").click()
    expect(page.locator(".dv-slices")).to_be_hidden()
    expect(rows).to_have_count(2)
