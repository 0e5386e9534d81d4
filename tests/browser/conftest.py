"""What browser tests share: a real Chromium, and small apps served on free ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from benchmarks.common import find_chromium
from detection_core.engine import Engine, LocalEngine
from detection_core.engine.ray import DetectorSettings, RayEngine
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.components.modules import MODULES
from detection_core.ui.shared.examples import warm_up
from tests.browser.camera import launch_with_camera
from tests.ray_nodes import NODE, start_head

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

_OPENING_MS = 30_000
_STARTING_SECONDS = 120
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages of an app share one process, which has Gradio's scripts compiled: a page opens in half of the time.
    "--process-per-site",
]

# A busy machine is no failure; only tests that fail take longer.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Replaces pytest-playwright's own: the system's Chromium instead of a downloaded one."""
    chromium = find_chromium()
    if chromium is None:
        message = "no Chromium found: install one or set CHROMIUM to its path"
        if os.environ.get("DETECTION_EXPLORER_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return {"executable_path": chromium, "args": _ARGUMENTS}


@pytest.fixture(scope="module")
def camera_browser(
    playwright: Playwright, browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A Chromium of its own, whose camera pans over an image; a module whose pages need it calls it `browser`."""
    browser = launch_with_camera(playwright, browser_type_launch_args, tmp_path_factory.mktemp("camera"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def module_context(browser: Browser) -> Iterator[BrowserContext]:
    """One browser context for a module, so that Gradio's own scripts are fetched and compiled once."""
    context = browser.new_context()
    # An empty page of the same site keeps the process from one test to the next.
    keeper = context.new_page()
    keeper.route("**", lambda route: route.fulfill(body=""))
    keeper.goto("http://127.0.0.1/")
    yield context
    context.close()


@pytest.fixture
def page(module_context: BrowserContext) -> Iterator[Page]:
    """Replaces pytest-playwright's own: a new tab, but not a new context."""
    page = module_context.new_page()
    yield page
    page.close()


@pytest.fixture
def opened(page: Page, address: str) -> Page:
    """The page at a module's `address` with the example's result in it, as wide as a laptop's."""
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(address)
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=_OPENING_MS)
    return page


@pytest.fixture(scope="module", params=["local", pytest.param("cluster", marks=[pytest.mark.ray, pytest.mark.slow])])
def new_engine(request: pytest.FixtureRequest) -> Iterator[Callable[[], Engine]]:
    """Makes a page's engine, of this process or of a cluster: a visitor cannot see the difference."""
    if request.param == "local":
        yield LocalEngine
        return
    with start_head() as cluster:
        cluster.add_node(**NODE)

        def join() -> Engine:
            engine = RayEngine(cluster.address, DetectorSettings(max_replicas=1, cpus=1))
            # Visitors wait for the first detector; tests of the page should not.
            warm_up(engine).result(_STARTING_SECONDS)
            return engine

        yield join


@pytest.fixture(scope="module")
def serve(browser_type_launch_args: dict[str, Any]) -> Iterator[Callable[..., str]]:
    """A function that serves `gr.Blocks` and returns the address; everything is closed when the module is done."""
    served = []

    def start(blocks: Any, **options: Any) -> str:
        served.append(blocks)
        # Components alone need their modules, too.
        options.setdefault("app_kwargs", {"routes": [MODULES.route()]})
        blocks.launch(server_port=free_port(), prevent_thread_lock=True, quiet=True, **options)
        return str(blocks.local_url)

    yield start
    for blocks in served:
        blocks.close(verbose=False)


@pytest.fixture(scope="module")
def warm_address(serve: Callable[..., str]) -> Iterator[str]:
    """The address of the whole app, whose engine gets warm from the start."""
    engine = LocalEngine()
    warm_up(engine)
    yield serve(build_app(engine), **launch_options())
    engine.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
