"""The page as a public host serves it, behind a password: every tab works, breaks no security policy, and asks no other server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from detection_core.models.catalog import ASSETS
from detection_core.settings import Settings
from detection_core.ui.app import build_app, launch_options
from detection_core.ui.hosting.monitor import Monitor
from tests.ui.fake_engine import FakeEngine
from tests.video.io.videos import make_video

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 1000
STATS = "[...document.querySelectorAll('*')].find((node) => node.liveStats).liveStats"
# Gradio's client warns so when it closes a stream of its own.
GRADIOS_OWN = "Method not implemented."
AUTH = {"username": "visitor", "password": "correct horse"}


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture(scope="module")
def address(serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = FakeEngine()
    monitor = Monitor(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield serve(build_app(engine, monitor=monitor), **launch_options(monitor, Settings(auth=(tuple(AUTH.values()),))))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "walk.mp4", size=(160, 96), beep=(2, 1))


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains about, and what it asks of other servers."""
    return []


@pytest.fixture
def visit(browser: Browser, address: str, complaints: list[str]) -> Iterator[Page]:
    """The page of a visitor who has the password."""
    context = browser.new_context(http_credentials=AUTH, viewport={"width": 1440, "height": 900})
    context.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    own = (address, "data:", "blob:")
    context.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(own) else None)
    context.expose_function("complain", lambda text: complaints.append(text))
    context.add_init_script("addEventListener('securitypolicyviolation', (e) => complain(`${e.violatedDirective}: ${e.blockedURI}`))")
    page = context.new_page()
    page.goto(address)
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
    yield page
    context.close()


# The tab's module writes it, and takes files from then on.
TAKES_IMAGES = re.compile(r"^Up to \d+ images at a time")


def others(complaints: list[str]) -> list[str]:
    return [text for text in complaints if text != GRADIOS_OWN]


def use_detect(page: Page, walk: Path) -> None:
    page.get_by_role("button", name="Cameraman").click()
    expect(page.locator(".dv img").first).to_have_attribute("src", re.compile("cameraman"), timeout=20 * SECONDS)
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").first.click()
    page.locator("input[type=file]").first.set_input_files(ASSETS / "examples" / "coffee.jpg")
    expect(page.locator(".dv img").first).to_have_attribute("src", re.compile("coffee"), timeout=20 * SECONDS)
    with page.expect_download(timeout=20 * SECONDS):
        page.get_by_role("button", name="Download PNG").click()


def use_compare(page: Page, walk: Path) -> None:
    expect(page.locator(".cv-panes .cv-pane-facts").nth(1)).to_contain_text("object", timeout=30 * SECONDS)


def use_live(page: Page, walk: Path) -> None:
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function(f"{STATS}.answers >= 2", timeout=30 * SECONDS)
    page.get_by_role("button", name="Stop").click()


def use_video(page: Page, walk: Path) -> None:
    expect(page.get_by_text(re.compile("Longer videos must be cut first"))).to_be_visible(timeout=20 * SECONDS)
    page.get_by_label("Video", exact=True).set_input_files(walk)
    expect(page.locator(".vv-facts")).to_contain_text("160×96", timeout=20 * SECONDS)
    page.get_by_role("button", name=re.compile("^Detect")).locator("visible=true").click()
    expect(page.locator(".vv-counts")).to_be_visible(timeout=30 * SECONDS)


def use_batch(page: Page, walk: Path) -> None:
    files = [ASSETS / "examples" / f"{name}.jpg" for name in ("chelsea", "coffee")]
    expect(page.get_by_text(TAKES_IMAGES)).to_be_visible(timeout=20 * SECONDS)
    page.get_by_label("Images", exact=True).and_(page.locator("input")).set_input_files(files)
    expect(page.locator(".bv-card[data-state=done]")).to_have_count(2, timeout=20 * SECONDS)


def use_models(page: Page, walk: Path) -> None:
    expect(page.get_by_role("row").locator("visible=true").nth(5)).to_be_visible(timeout=20 * SECONDS)


def test_every_tab_works_within_the_policy_and_asks_no_other_server(visit: Page, walk: Path, complaints: list[str]):
    """In one visit, because opening the page takes longer than using a tab."""
    for use in (use_detect, use_compare, use_live, use_video, use_batch, use_models):
        tab = use.__name__.removeprefix("use_").capitalize()
        visit.get_by_role("tab", name=tab).click()
        use(visit, walk)
        assert others(complaints) == [], tab
    visit.evaluate("() => document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/a.png' }))")
    visit.wait_for_timeout(300)
    assert "img-src: http://127.0.0.1:9/a.png" in complaints, "the test does not see violations"
