"""The nginx of `deploy/` for real: two processes behind it, below a path, used by a browser and by programs; one of them is killed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import free_port

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
IMAGE = ROOT / "assets/examples/chelsea.jpg"
MODEL = "ssdlite300_mobilenet_v2"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]


def start_page(port: int, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"GRADIO_ROOT_PATH": "/detection", "GRADIO_TEMP_DIR": str(folder)}
    command = [sys.executable, "app.py", "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_served(address: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(address, follow_redirects=True).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{address} is not served")


class Site:
    """nginx and its two pages."""

    def __init__(self, folder: Path) -> None:
        assert NGINX is not None
        self._folder = folder
        self.ports = [free_port(), free_port()]
        self.pages = {port: self._start_page(port) for port in self.ports}
        listen = free_port()
        self.address = f"http://127.0.0.1:{listen}/detection/"
        # The same file, apart from what is the container's: names of hosts, the port, and /tmp.
        text = (ROOT / "deploy/nginx.conf").read_text("utf-8").replace("listen 8080;", f"listen 127.0.0.1:{listen};")
        for name, port in zip(("page1:7860", "page2:7860"), self.ports, strict=True):
            text = text.replace(f"server {name} ", f"server 127.0.0.1:{port} ")
        text = text.replace(" /tmp/", f" {folder}/")
        (folder / "nginx.conf").write_text(text, "utf-8")
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        # Started by root, its workers would be another user, who cannot write into the test's folder.
        user = "user root; " if os.getuid() == 0 else ""
        self._nginx = subprocess.Popen([*command, "-g", f"{user}daemon off;"])

    def wait(self) -> None:
        for port in self.ports:
            wait_until_served(f"http://127.0.0.1:{port}/")
        wait_until_served(self.address)

    def _start_page(self, port: int) -> subprocess.Popen[bytes]:
        return start_page(port, self._folder / f"uploads-{port}")

    def restart_dead(self) -> None:
        """For the next test, whichever that is: the order of tests depends on their browsers."""
        for port, process in self.pages.items():
            if process.poll() is not None:
                self.pages[port] = self._start_page(port)
        self.wait()

    def uploads(self, port: int) -> int:
        """How many files a process has."""
        return sum(path.is_file() for path in (self._folder / f"uploads-{port}").rglob("*"))

    def end(self) -> None:
        for process in (self._nginx, *self.pages.values()):
            process.terminate()
        for process in (self._nginx, *self.pages.values()):
            process.wait(20)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        site = Site(tmp_path_factory.mktemp("site"))
        stack.callback(site.end)
        yield site


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.restart_dead()
    return shared_site


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    return camera_browser


def detect(page: Page) -> None:
    page.get_by_role("tab", name="Detect", exact=True).click()
    page.locator("input[type=file]").first.set_input_files(IMAGE)
    expect(page.locator(".dv tbody tr").first).to_contain_text("cat", timeout=30_000)


def test_headers_and_limits(site: Site):
    with httpx.Client() as visitor:
        page = visitor.get(site.address, headers={"Accept": "text/html"})
        cookie = page.headers["set-cookie"]
        assert re.match(r"detection_server=[0-9a-f]{32}; Path=/detection/; HttpOnly; SameSite=Lax$", cookie)
        # Everything that the page names is below the path.
        assert f'"root":"{site.address.rstrip("/")}"' in page.text.replace(" ", "")
        again = visitor.get(site.address, headers={"Accept": "text/html"})
        assert "set-cookie" not in again.headers
    assert "set-cookie" not in httpx.get(f"{site.address}config").headers
    root = site.address.removesuffix("detection/")
    assert httpx.get(root).headers["location"].endswith("/detection/")
    assert httpx.get(f"{site.address}metrics").status_code == 404
    with socket.create_connection(("127.0.0.1", httpx.URL(root).port or 80), timeout=10) as connection:
        connection.sendall(b"POST /detection/gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def server_of(site: Site, number: int) -> str:
    return str(httpx.get(f"{site.address}gradio_api/app_id", cookies={"detection_server": f"visitor{number}"}).json()["app_id"])


def test_visitors_are_spread_and_stay(site: Site):
    # A process that did not respond while it started gets no visitors for some seconds.
    deadline = time.monotonic() + 30
    while len({server_of(site, number) for number in range(12)}) < 2 and time.monotonic() < deadline:
        time.sleep(1)
    servers = [[server_of(site, number) for _ in range(3)] for number in range(12)]
    assert all(len(set(each)) == 1 for each in servers)
    assert len({each[0] for each in servers}) == 2


def test_the_api(site: Site):
    client = Client(site.address, verbose=False)
    detections, annotated = client.predict(handle_file(IMAGE), MODEL, 0.5, api_name="/detect")
    assert [each["label"] for each in detections["objects"]] == ["cat"]
    assert Path(annotated if isinstance(annotated, str) else annotated["path"]).is_file()
    first = client.predict(handle_file(IMAGE), MODEL, 0.5, "", api_name="/live")
    second = client.predict(handle_file(IMAGE), MODEL, 0.5, first["stream"], api_name="/live")
    assert [each["track"] for each in second["objects"]] == [each["track"] for each in first["objects"]]


def test_the_http_api(site: Site):
    api = f"{site.address}api/v1/"
    answer = httpx.post(f"{api}detect", params={"model": MODEL, "threshold": 0.5}, files={"image": IMAGE.read_bytes()}, timeout=60)
    assert [each["label"] for each in answer.json()["objects"]] == ["cat"]
    refused = httpx.post(f"{api}detect", files={"image": b"no image"})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert MODEL in {each["key"] for each in httpx.get(f"{api}models").json()}
    documentation = httpx.get(f"{api}docs")
    assert documentation.headers["content-type"].startswith("text/html")
    # What it names and what the description calls the server lead below the path, too.
    description = documentation.url.join("openapi.json")
    assert "openapi.json" in documentation.text
    described = httpx.get(description).json()
    assert httpx.get(f"{description.join(described['servers'][0]['url'])}models").status_code == 200


def test_events_arrive_as_they_happen(site: Site):
    visitor = {"detection_server": "somebody"}
    with httpx.Client(base_url=site.address, cookies=visitor, timeout=60) as client:
        (path,) = client.post("gradio_api/upload", files={"files": ("a.jpg", IMAGE.read_bytes())}).json()
        image = {"path": path, "meta": {"_type": "gradio.FileData"}}
        call = client.post("gradio_api/call/detect", json={"data": [image, MODEL, 0.5]}).json()
        with client.stream("GET", f"gradio_api/call/detect/{call['event_id']}") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            assert "event: complete" in list(events.iter_lines())
        # This stream has no end, so a proxy that waited for more would pass nothing on.
        with client.stream("GET", "gradio_api/heartbeat/somebody", timeout=10) as beats:
            assert next(beats.iter_lines()) == "data: ALIVE"


def test_a_visitor_goes_on_with_the_other_process(site: Site, page: Page):
    # nginx passes none on.
    sockets: list[str] = []
    page.on("websocket", lambda opened: sockets.append(opened.url))
    page.goto(site.address)
    detect(page)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    stats = "[...document.querySelectorAll('*')].find((node) => node.liveStats).liveStats"
    page.wait_for_function(f"{stats}.answers > 5", timeout=30_000)
    # The visitor's files are with one process, which is killed.
    own = next(port for port in site.ports if _is_of(page, port))
    assert site.uploads(own) > 0
    site.pages[own].kill()
    # The open page goes on with the other process, without being loaded anew: the camera by itself, and the next image.
    before = page.evaluate(f"{stats}.answers")
    page.wait_for_function(f"{stats}.answers > {before + 5}", timeout=30_000)
    assert not _is_of(page, own)
    detect(page)
    assert sockets == []


def _is_of(page: Page, port: int) -> bool:
    """Whether a process is the one that a browser's visitor has."""
    # As text: the id has more digits than numbers in JavaScript.
    served = page.evaluate("fetch('gradio_api/app_id').then((response) => response.text())")
    try:
        return bool(httpx.get(f"http://127.0.0.1:{port}/gradio_api/app_id").text == served)
    except httpx.ConnectError:
        return False
