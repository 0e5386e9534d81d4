"""How a component's module comes into the page: late, not at all, or below a root path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from detection_core.ui.components.modules import MODULES, preloading_head
from detection_core.ui.detect.view import DetectionView, error_payload, view_payload
from tests.factories import make_detections

pytestmark = pytest.mark.browser

VIEW = f"**{MODULES.address('detect/view.js')}"
SIZE = (300, 400)


def build_app(image: Path) -> gr.Blocks:
    with gr.Blocks() as app:
        view = DetectionView(view_payload(make_detections(2, image_size=SIZE), image, floor=0.05), elem_id="one")
        gr.Button("send", elem_id="send").click(lambda: error_payload("Late", "It came before the module."), outputs=view)
        gr.Button("hide", elem_id="hide").click(lambda: DetectionView(visible=False), outputs=view)
        gr.Button("unhide", elem_id="unhide").click(lambda: DetectionView(visible=True), outputs=view)
    return app


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "gray.png"
    Image.new("RGB", SIZE[::-1], (120, 130, 140)).save(path)
    return path


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], image: Path) -> str:
    return serve(build_app(image), allowed_paths=[str(image.parent)], head=preloading_head("detect/view.js"))


def test_a_module_of_another_version_asks_to_reload(page: Page, address: str) -> None:
    page.route(VIEW, lambda route: route.fulfill(status=404, body="There is no such module in this version."))
    page.goto(address)
    expect(page.locator("#one").get_by_role("alert")).to_contain_text("reload the page")
    page.unroute(VIEW)
    page.reload()
    expect(page.locator("#one tbody tr").first).to_be_visible()


def release(page: Page, held: list[Route]) -> None:
    """Lets the module come, also where it is requested only now."""
    while held:
        held.pop().continue_()
    page.unroute(VIEW)


def test_a_message_before_the_module_is_not_lost(page: Page, address: str) -> None:
    held: list[Route] = []
    page.route(VIEW, lambda route: held.append(route))
    page.goto(address)
    expect(page.locator("#one .dv")).to_be_hidden()
    with page.expect_response(lambda response: "/queue/data" in response.url):
        page.locator("#send").click()
    page.wait_for_timeout(500)
    release(page, held)
    expect(page.locator("#one .dv-error")).to_contain_text("It came before the module.")


@pytest.mark.slow
def test_a_component_that_goes_while_its_module_comes_is_there_again(page: Page, address: str) -> None:
    held: list[Route] = []
    page.route(VIEW, lambda route: held.append(route))
    page.goto(address)
    page.locator("#hide").click()
    expect(page.locator("#one")).to_have_count(0)
    release(page, held)
    page.locator("#unhide").click()
    expect(page.locator("#one tbody tr").first).to_be_visible()


def test_modules_are_fetched_once_and_only_from_their_version(page: Page, address: str) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if request.url.endswith(".js") and "explorer" in request.url else None)
    page.goto(address)
    expect(page.locator("#one tbody tr").first).to_be_visible()
    assert len(fetched) == len(set(fetched)) == len(MODULES.with_imports(["detect/view.js"]))
    assert all(f"/explorer/{MODULES.version}/" in url for url in fetched)


@pytest.mark.slow
def test_below_a_root_path(page: Page, serve: Callable[..., str], image: Path) -> None:
    address = serve(build_app(image), allowed_paths=[str(image.parent)], root_path="/below", head=preloading_head("detect/view.js"))
    fetched: list[str] = []
    page.on("response", lambda response: fetched.append(f"{response.status} {response.url}") if "explorer" in response.url else None)
    page.goto(f"{address.rstrip('/')}/below/")
    expect(page.locator("#one tbody tr").first).to_be_visible()
    assert fetched
    assert all(each.startswith("200 ") and "/below/gradio_api/" in each for each in fetched)
