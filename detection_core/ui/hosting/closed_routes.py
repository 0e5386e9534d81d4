"""ASGI middleware that closes those of Gradio's addresses that the page does not use and that strangers could misuse."""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# An address in place of a file, which the server would fetch; the proxy for other Spaces; states of pages, each request written to the
# disk; tools of developers, and visitors' histories.
_CLOSED = re.compile(
    r"/(file[=/]+https?:|proxy=|deep_link|monitoring|profiling|run-history|runs(/|$)|process_recording|\w+-vibe|vibe-|dev/)", re.IGNORECASE
)


class ClosedRoutes:
    """Responds with 404 to those addresses.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or responds with 404."""
        if scope["type"] == "http" and _CLOSED.match(_below_prefix(scope["path"])):
            await PlainTextResponse("There is nothing at this address.", 404)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _below_prefix(path: str) -> str:
    return path.removeprefix("/gradio_api")
