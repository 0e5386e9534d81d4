"""Fetches images from URLs that visitors send, without reaching anything but public hosts.

A name is resolved where the connection is made, and the connection goes to the addresses that were checked; so neither a redirect nor a
name whose address changes leads into the server's own network. What cannot be reached is never said in more detail than that.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import anyio
import httpcore
from anyio import to_thread

from detection_core.errors import UserError
from detection_core.ui.shared.limits import image_limit
from detection_core.ui.shared.uploads import image_name

_PORTS = {"http": 80, "https": 443}
_UNREADABLE = "The image's URL cannot be read. Check it."
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_LONGEST_URL = 2000
# Seconds for all of it, and for each connection and each piece of the response.
_SECONDS = 20.0
_TIMEOUT = {"connect": 5.0, "read": 10.0, "write": 5.0, "pool": 5.0}
_MOST_ADDRESSES = 2
# Images that are fetched at a time: of all visitors, and of one.
_MOST, _MOST_OF_ONE = 16, 4
_HEADERS = [("User-Agent", "detection-explorer"), ("Accept", "image/*"), ("Accept-Encoding", "identity"), ("Connection", "close")]
# Servers that do not know what a file is say the second one.
_MEDIA_TYPES = ("image/", "application/octet-stream")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
# What of IPv6 can be public at all: so neither IPv4 in other forms (mapped, NAT64) nor local or multicast addresses.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Not public, although Python takes some of them for global: protocol assignments (with Teredo), documentation, 6to4 and its relays, and
# the address under which Azure's machines reach their host.
_SPECIAL = [
    *map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")),
    *map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
]


class ImageUrlError(UserError):
    """An image cannot be fetched from its URL."""


class UnreachableHostError(ImageUrlError):
    """A host cannot be reached, or is not public."""

    def __init__(self) -> None:
        super().__init__("The image cannot be fetched: its host cannot be reached. Only public hosts are asked, on the ports 80 and 443.")


class FetchesBusyError(UserError):
    """Too many images are being fetched already."""

    def __init__(self) -> None:
        super().__init__("Too many images are being fetched already. Try again in some seconds.")


class ImageFetcher:
    """Fetches images for visitors, a few at a time."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._tls = httpcore.default_ssl_context()
        # Names may take long to resolve, and must not take the threads in which images are decoded.
        self._threads = anyio.CapacityLimiter(_MOST)

    async def fetch(self, url: str, visitor: str) -> bytes:
        """Fetches a file, which may be an image.

        Args:
            url: Where it is.
            visitor: The visitor who asks.

        Raises:
            ImageUrlError: If it cannot be fetched.
            FetchesBusyError: If too many are being fetched.
        """
        if self._running.total() >= _MOST or self._running[visitor] >= _MOST_OF_ONE:
            raise FetchesBusyError
        self._running[visitor] += 1
        try:
            with anyio.fail_after(_SECONDS):
                return await self._follow(url)
        except (TimeoutError, httpcore.ReadTimeout, httpcore.WriteTimeout):
            raise ImageUrlError("The image cannot be fetched: its host takes too long.") from None
        except (httpcore.TimeoutException, httpcore.NetworkError):
            raise UnreachableHostError from None
        except httpcore.ProtocolError:
            raise ImageUrlError("The image cannot be fetched: its host does not respond as a web server does.") from None
        finally:
            self._running[visitor] -= 1
            # Otherwise every visitor who was ever here would stay.
            self._running += Counter()

    async def _follow(self, url: str) -> bytes:
        for _ in range(1 + _MOST_REDIRECTS):
            target = _checked(url)
            async with (
                httpcore.AsyncConnectionPool(self._tls, network_backend=_PublicNetwork(self._threads)) as pool,
                pool.stream("GET", target, headers=[_host_header(target), *_HEADERS], extensions={"timeout": _TIMEOUT}) as response,
            ):
                headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
                if response.status not in _REDIRECTS:
                    return await _read(response, headers)
            try:
                url = urljoin(url, headers.get(b"location", ""))
            except ValueError:
                raise ImageUrlError(_UNREADABLE) from None
        raise ImageUrlError(f"The image cannot be fetched: its URL is redirected more than {_MOST_REDIRECTS} times.")


def name_at(url: str) -> str:
    """The name of the image at a URL, or "image"."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    return image_name(unquote(path.rpartition("/")[2]), Path("image"))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, and not to a network of the server or to a protocol."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in network for network in _SPECIAL)


class _PublicNetwork(httpcore.AnyIOBackend):
    """Connects to public addresses only, of which it checks each."""

    def __init__(self, threads: anyio.CapacityLimiter) -> None:
        self._threads = threads

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await to_thread.run_sync(_addresses, host, port, limiter=self._threads, abandon_on_cancel=True)
        if not all(map(is_public, addresses)):
            raise UnreachableHostError
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise UnreachableHostError


def _addresses(host: str, port: int) -> list[str]:
    """All addresses of a host; none if it has none. It also reads the other ways to write an IPv4 address, such as 0x7f.1."""
    try:
        return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError):
        return []


def _checked(url: str) -> httpcore.URL:
    """The parts of a URL by which it is fetched.

    Raises:
        ImageUrlError: If it has parts that it must not have.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode().lower()
        path, query = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~"), quote(parts.query, safe="/?%:@!$&()*+,;=~")
    except ValueError:
        raise ImageUrlError(_UNREADABLE) from None
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or len(url) > _LONGEST_URL:
        raise ImageUrlError(f"The image's URL must begin with http:// or https:// and a host, and have at most {_LONGEST_URL} characters.")
    if "@" in parts.netloc:
        raise ImageUrlError("The image's URL must not contain a name or a password. Send the image itself.")
    port = _PORTS[parts.scheme] if port is None else port
    if port not in _PORTS.values():
        raise UnreachableHostError
    return httpcore.URL(scheme=parts.scheme, host=host, port=port, target=f"{path}?{query}" if query else path)


def _host_header(url: httpcore.URL) -> tuple[str, str]:
    host = url.host.decode()
    shown = f"[{host}]" if ":" in host else host
    return "Host", shown if url.port in (None, _PORTS[url.scheme.decode()]) else f"{shown}:{url.port}"


async def _read(response: httpcore.Response, headers: dict[bytes, Any]) -> bytes:
    if response.status != 200:
        raise ImageUrlError(f"The image cannot be fetched: its host responds with the status {response.status}.")
    if not headers.get(b"content-type", _MEDIA_TYPES[0]).strip().lower().startswith(_MEDIA_TYPES):
        raise ImageUrlError("There is no image at this URL. Send the URL of the image's file, not that of a page with it.")
    limit = image_limit()
    length = headers.get(b"content-length", "")
    data = bytearray()
    async for piece in response.aiter_stream():
        data += piece
        if len(data) > limit or (length.isdecimal() and int(length) > limit):
            raise ImageUrlError(f"The image at this URL is too large: it may have at most {limit / 2**20:g} MB.")
    return bytes(data)
