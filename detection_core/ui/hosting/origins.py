"""ASGI middleware that refuses what scripts of other sites send, and lets sites that the host allows read the responses (CORS)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI
from gradio.route_utils import CustomCORSMiddleware
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REFUSAL = "Scripts of other sites may not use this server. Its host can allow a site: see --allowed-origins."
# What browsers say of a request that the page itself has sent, or the visitor by an address or a bookmark.
_OWN = ("same-origin", "none")
_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# Response headers that scripts of allowed sites may read beside the usual ones.
_EXPOSED = "Content-Disposition, Detection-Provenance, Retry-After, X-Request-ID"


@asynccontextmanager
async def without_gradios_cors(app: FastAPI) -> AsyncIterator[None]:
    """For `launch(app_kwargs={"lifespan": ...})`: takes Gradio's own CORS layer away before the first request.

    It stands outside of all others and says yes to every origin, unless the server's own name is localhost.
    """
    app.user_middleware[:] = [each for each in app.user_middleware if each.cls is not CustomCORSMiddleware]
    app.middleware_stack = app.build_middleware_stack()
    yield


class OriginCheck:
    """Refuses requests with an `Origin` that is neither the page's own nor allowed.

    Before such a request browsers ask whether they may send it (a preflight), always without credentials, so this stands before whatever
    asks for a password.

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
            if scope["type"] == "http":
                send = _readable_by(origin, send)
            if _is_preflight(scope, headers):
                await _may_be_sent(headers)(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(_REFUSAL, 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_own(self, origin: str, headers: Headers) -> bool:
        # Browsers tell it over HTTPS and on localhost, also behind a proxy that hides the server's name from it.
        if site := headers.get("sec-fetch-site"):
            return site in _OWN
        return urlsplit(origin).netloc == headers.get("host", "").lower()


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    return scope.get("method") == "OPTIONS" and "access-control-request-method" in headers


def _may_be_sent(headers: Headers) -> Response:
    """The response to a preflight, the same for all addresses."""
    allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": "600"}
    if requested := headers.get("access-control-request-headers"):
        allowed["Access-Control-Allow-Headers"] = requested
    return Response(status_code=204, headers=allowed)


def _readable_by(origin: str, send: Send) -> Send:
    async def readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Credentials"] = "true"
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            headers.add_vary_header("Origin")
        await send(message)

    return readable
