"""Fetching images from URLs: from public hosts only, however their address is written or found, and within limits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.ui.shared import image_urls
from detection_core.ui.shared.image_urls import FetchesBusyError, ImageFetcher, ImageUrlError, UnreachableHostError, is_public, name_at
from tests.asynchronous import run_async

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9", "168.63.129.16", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::a00:1", "64:ff9b::808:808",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "2002:808:808::",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "192.167.0.1", "223.255.255.1", "2606:4700:4700::1111", "2a00:1450:4001::1"]
# Ways to write a private address in a URL; the system's resolver reads some, and no URL may have the others.
HOSTS = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1",
    "127.0.1", "0", "１２７.0.0.1", "127。0。0。1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]",
    "[64:ff9b::7f00:1]", "[fe80::1%25lo]", "[fe80::1%lo]", "169.254.169.254", "10.0.0.1", "192.168.0.1", "3232235521",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_these_addresses_are_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_these_addresses_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("address", [each for each in PUBLIC if ":" in each])
def test_an_address_may_stand_in_a_url(connections, address):
    with pytest.raises(UnreachableHostError):
        fetch(f"https://[{address}]/a.png")
    assert connections == [address]


@given(st.ip_addresses(v=4))
def test_no_public_address_has_a_mapped_or_translated_form(address):
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"64:ff9b::{address}")
    assert not (is_public(str(address)) and (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast))


@pytest.fixture(scope="module", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Reading all certificates takes a moment, which most tests need not."""
    context = httpcore.default_ssl_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpcore, "default_ssl_context", lambda: context)
        yield


def fetch(url: str, fetcher: ImageFetcher | None = None, visitor: str = "ada") -> bytes:
    return run_async((fetcher or ImageFetcher()).fetch(url, visitor))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which connections were made; none succeeds."""
    made = []

    async def connect(self: Any, host: str, port: int, *_: Any) -> None:
        made.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    return made


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses of names, for one look-up after the other."""
    known: dict[str, list[str]] = {}
    monkeypatch.setattr(image_urls, "_addresses", lambda host, port: known[host].pop(0).split() if host in known else [])
    return known


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HOSTS)
def test_no_private_host_is_reached_however_it_is_written(connections, host, scheme):
    with pytest.raises(ImageUrlError):
        fetch(f"{scheme}://{host}/a.png")
    assert connections == []


@pytest.mark.parametrize(
    "addresses", ["10.0.0.1", "93.184.216.34 10.0.0.1", "2606:4700::1 ::1", "fe80::1%eth0 93.184.216.34", "::ffff:10.0.0.1", ""]
)
def test_no_name_with_a_private_address_is_reached_and_all_sound_the_same(names, connections, addresses):
    names["inside.example"] = [addresses]
    with pytest.raises(UnreachableHostError) as refused:
        fetch("http://inside.example/")
    names["outside.example"] = ["93.184.216.34"]
    with pytest.raises(UnreachableHostError) as failed:
        fetch("http://outside.example/")
    assert str(refused.value) == str(failed.value)
    assert connections == ["93.184.216.34"]


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(names, connections):
    names["rebinding.example"] = ["93.184.216.34 2606:4700::1", "127.0.0.1", "127.0.0.1"]
    with pytest.raises(UnreachableHostError):
        fetch("https://rebinding.example/a.png")
    assert connections == ["93.184.216.34", "2606:4700::1"]
    assert len(names["rebinding.example"]) == 2


@pytest.mark.parametrize(
    "url",
    [
        "", "a.png", "//example.org/a.png", "ftp://example.org/a.png", "file:///etc/passwd", "gopher://example.org/",
        "data:image/png;base64,AA",
        "http://", "http:///a.png", "http://a..b/", "http://[::1/", "http://ex ample.org/", "http://exa\x00mple.org/", "http://a\\b/",
        "http://name@example.org/", "http://name:password@example.org/", "http://example.org\\@127.0.0.1/", "http://@example.org/",
        "http://example.org:22/", "http://example.org:8080/", "http://example.org:0/", "http://example.org:99999/", "http://example.org:x/",
        "http://example.org/\ud800", "http://\ud800/", f"http://example.org/{'a' * 2000}",
    ],
)  # fmt: skip
def test_other_urls_are_refused_without_a_look_up(names, connections, url):
    names["example.org"] = ["93.184.216.34"]
    with pytest.raises(ImageUrlError) as error:
        fetch(url)
    assert len(names["example.org"]) == 1
    assert len(str(error.value)) < 200


@given(st.sampled_from(["", "http:", "http://", "https://a", "http://["]), st.text(st.characters()))
def test_any_other_text_is_refused_with_a_reason(begin, text):
    name_at(begin + text)
    with contextlib.suppress(ImageUrlError):
        checked = image_urls._checked(begin + text)
        assert checked.target.isascii()
        assert not set(b"\r\n\t \0") & set(checked.target + checked.host)


class _Host(BaseHTTPRequestHandler):
    """Responds as its path says, and keeps the requests."""

    requests: list[tuple[str, dict[str, str]]] = []  # noqa: RUF012
    ends = threading.Event()

    def do_GET(self) -> None:
        self.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        kind, _, rest = unquote(self.path).strip("/").partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.send_header("Set-Cookie", "a=b")
            self.end_headers()
            return
        if kind == "nonsense":
            self.wfile.write(b"220 mail.example\r\n")
            return
        self.send_response(404 if kind == "missing" else 200)
        self.send_header("Content-Type", "text/html" if kind == "page" else "image/png")
        if kind == "large":
            self.send_header("Content-Length", str(10**9))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"image")
            while kind in ("endless", "slow", "large") and not self.ends.is_set():
                self.wfile.write(b"x" if kind == "slow" else b"x" * 2**18)
                self.ends.wait(0.02 if kind == "slow" else 0)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    _Host.ends.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def web(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a host that counts as public, unlike all others of this machine."""
    port = server.server_address[1]
    _Host.requests.clear()
    monkeypatch.setattr(image_urls, "is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setitem(image_urls._PORTS, "http", port)
    monkeypatch.setenv("DETECTION_EXPLORER_MAX_IMAGE_MEGABYTES", "1")
    return f"http://localhost:{port}"


def test_fetches_a_file(web, monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert fetch(f"{web}/a b/ü.png?x=1 2&y=%20#there") == b"image"
    ((path, headers),) = _Host.requests
    assert path == "/a%20b/%C3%BC.png?x=1%202&y=%20"
    assert headers["host"] == "localhost"
    assert not {"cookie", "authorization", "referer", "proxy-connection"} & headers.keys()


def test_follows_redirects_without_cookies(web):
    assert fetch(f"{web}/to//to//to//a.png") == b"image"
    assert [path for path, _ in _Host.requests] == ["/to//to//to//a.png", "/to//to//a.png", "/to//a.png", "/a.png"]
    assert not any("cookie" in headers for _, headers in _Host.requests)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/to//to//to//to//a.png", "redirected more than 3 times"),
        ("/to/http://127.0.0.2/", "cannot be reached"),
        ("/to/http://[::1]/", "cannot be reached"),
        ("/to/http://127.0.0.1:22/", "cannot be reached"),
        ("/to/http://[::1", "cannot be read"),
        ("/to/file:///etc/passwd", "must begin with http"),
        ("/to/http://name:password@localhost/", "must not contain a name"),
        ("/to/", "redirected more than 3 times"),
        ("/missing", "the status 404"),
        ("/page", "no image at this URL"),
        ("/nonsense", "not respond as a web server"),
        ("/endless", "at most 1 MB"),
        ("/large", "at most 1 MB"),
    ],
)
def test_says_what_is_wrong(web, path, words):
    with pytest.raises(ImageUrlError, match=words):
        fetch(web + path)


def test_waits_for_no_slow_body(web, monkeypatch):
    monkeypatch.setattr(image_urls, "_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(ImageUrlError, match="takes too long"):
        fetch(f"{web}/slow")
    assert time.monotonic() - begun < 5


def test_waits_for_no_slow_name(monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(image_urls, "_SECONDS", 0.1)
    monkeypatch.setattr(image_urls, "_addresses", lambda *_: done.wait(5) and [])
    threading.Timer(1, done.set).start()
    with pytest.raises(ImageUrlError, match="takes too long"):
        fetch("http://slow.example/")


def test_fetches_a_few_at_a_time_and_for_each_visitor(monkeypatch):
    fetcher = ImageFetcher()
    running = 0

    async def wait(self: ImageFetcher, url: str) -> bytes:
        nonlocal running
        running += 1
        await release.wait()
        return b"image"

    async def ask() -> list[Any]:
        nonlocal release
        release = asyncio.Event()
        jobs = [asyncio.ensure_future(fetcher.fetch("", f"visitor {number % 6}")) for number in range(6 * 5)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    release: asyncio.Event
    monkeypatch.setattr(ImageFetcher, "_follow", wait)
    outcomes = run_async(ask())
    assert running == 16
    assert sum(isinstance(each, FetchesBusyError) for each in outcomes) == 14
    assert not fetcher._running
    running = 0
    monkeypatch.setattr(image_urls, "_MOST", 100)
    run_async(ask())
    assert running == 6 * 4


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.example/b/photo.jpg?c=d", "photo.jpg"),
        ("http://a.example/%2e%2e%2fpasswd", "passwd"),
        ("http://a.example/", "image"),
        ("http://a.example", "image"),
        ("http://[::1/a.jpg", "image"),
    ],
)
def test_names_an_image_after_its_file(url, name):
    assert name_at(url) == name


def test_numbers_are_resolved_as_the_connection_would():
    """Otherwise the table of hosts would pass because they have no address at all."""
    assert image_urls._addresses("2130706433", 80) == image_urls._addresses("0x7f.1", 80) == ["127.0.0.1"]
    assert socket.gethostbyname("127.1") == "127.0.0.1"
