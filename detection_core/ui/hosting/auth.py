"""ASGI middleware that asks for a name and a password on all routes but `/healthz`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from detection_core.ui.hosting.health import ALIVE

# Gradio asks itself for the second one when it starts, without credentials; it begins the queue and reveals nothing.
_OPEN = frozenset({ALIVE, "/gradio_api/startup-events"})
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Detection Explorer", charset="UTF-8"', "Cache-Control": "no-store"}


class BasicAuth:
    """HTTP Basic authentication over all routes; Gradio's own `auth` covers only some of its own.

    Args:
        app: The application behind it.
        auth: Pairs of a name and a password.
    """

    def __init__(self, app: ASGIApp, auth: Sequence[tuple[str, str]]) -> None:
        self._app = app
        self._expected = [_digest(":".join(pair).encode()) for pair in auth]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or responds with 401."""
        if scope["type"] == "lifespan" or scope["path"] in _OPEN or self._is_known(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("Sign in to use this server.", 401, _CHALLENGE)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _is_known(self, header: str) -> bool:
        kind, _, encoded = header.partition(" ")
        try:
            sent = base64.b64decode(encoded.strip(), validate=True) if kind.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            return False
        # Digests have one length, and comparing them with all takes the same time whatever was sent.
        return sum(hmac.compare_digest(_digest(sent), expected) for expected in self._expected) > 0


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
