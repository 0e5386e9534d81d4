"""An open page whose server is killed and started again: a running camera goes on by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import free_port

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
SECONDS = 1000
STATS = "[...document.querySelectorAll('*')].find((node) => node.liveStats).liveStats"


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


class Server:
    """The app as a process of its own, always at the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "app.py", "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        assert any(line.startswith("The page is ready") for line in self._process.stdout)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


def test_a_running_camera_goes_on_with_the_next_server(page: Page, server: Server):
    page.goto(f"http://127.0.0.1:{server.port}")
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function(f"{STATS}.answers > 2", timeout=60 * SECONDS)
    server.kill()
    expect(page.get_by_text("The server does not answer; trying again")).to_be_visible(timeout=30 * SECONDS)
    before = page.evaluate(f"{STATS}.answers")
    # It would be gone if the page loaded itself anew, and the camera with it.
    page.evaluate("window.isTheSamePage = true")
    server.start()
    page.wait_for_function(f"{STATS}.answers > {before + 2}", timeout=60 * SECONDS)
    assert page.evaluate("window.isTheSamePage")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator(".lv-count")).to_contain_text("in view")
