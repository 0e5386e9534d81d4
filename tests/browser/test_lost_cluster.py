"""What a visitor sees when the cluster that detects for the page is lost, and when it is there again."""

from __future__ import annotations

import re
import time
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from detection_core.engine.ray import DetectorSettings, RayEngine
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.shared.examples import warm_up
from tests.ray_nodes import NODE, another_head, kill_head

pytestmark = [pytest.mark.browser, pytest.mark.ray, pytest.mark.slow]

PATIENCE = 120


def choose(page: Page, example: str) -> None:
    page.get_by_role("button", name=example.capitalize()).click()
    expect(page.locator(".dv-status")).to_be_hidden(timeout=PATIENCE * 1000)


def test_the_page_says_that_the_cluster_is_gone_until_there_is_another(serve, page, cluster):
    cluster.add_node(**NODE)
    with closing(RayEngine(cluster.address, DetectorSettings(max_replicas=1, cpus=1))) as engine:
        warm_up(engine).result(PATIENCE)
        page.goto(serve(build_app(engine), **launch_options()))
        expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=PATIENCE * 1000)
        kill_head(cluster)
        # Until the page's process has heard of it, an image waits.
        choose(page, "cameraman")
        expect(page.locator(".dv")).to_contain_text("cannot be reached at present", timeout=PATIENCE * 1000)
        with another_head(cluster):
            end = time.monotonic() + PATIENCE
            shown = page.locator(".dv img").first
            while "astronaut" not in (shown.get_attribute("src") or ""):
                assert time.monotonic() < end
                choose(page, "cameraman")
                choose(page, "astronaut")
            expect(shown).to_have_attribute("src", re.compile("astronaut"))
            expect(page.locator(".dv tbody tr").first).to_contain_text("person")
            expect(page.locator(".dv")).not_to_contain_text("cannot be reached")
