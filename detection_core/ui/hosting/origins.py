"""ASGI middleware that refuses what scripts of other sites send, unless the host allows those sites."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSAL = "Scripts of other sites may not use this server. Its host can allow a site: see allowed_origins."
# What browsers say of a request that the page itself has sent, or the visitor by an address or a bookmark.
_OWN = ("same-origin", "none")


class OriginCheck:
    """Refuses requests with an `Origin` that is neither the page's own nor allowed.

    Gradio answers every origin unless the server's own name is localhost, and lets browsers send credentials along.

    Args:
        app: The application behind it.
        allowed: Origins such as "https://example.org"; "*" allows all.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or responds with 403."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        origin = headers.get("origin", "").lower()
        if not origin or self._is_own(origin, headers):
            await self._app(scope, receive, send)
        elif origin in self._allowed or "*" in self._allowed:
            await self._app(scope, receive, _readable_by(origin, send) if scope["type"] == "http" else send)
        elif scope["type"] == "http":
            await PlainTextResponse(_REFUSAL, 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_own(self, origin: str, headers: Headers) -> bool:
        # Browsers tell it over HTTPS and on localhost, also behind a proxy that hides the server's name from it.
        if site := headers.get("sec-fetch-site"):
            return site in _OWN
        return urlsplit(origin).netloc == headers.get("host", "").lower()


def _readable_by(origin: str, send: Send) -> Send:
    async def readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            headers.add_vary_header("Origin")
        await send(message)

    return readable
