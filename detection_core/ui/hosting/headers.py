"""ASGI middleware that adds security headers to every response."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Browsers may fetch from this server only, so that not even an injected script can send anything elsewhere.
_POLICY = {
    "default-src": "'self'",
    # Gradio's page begins with scripts in its HTML whose text differs by request, and makes functions of components' and events' scripts.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "frame-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # The camera for the Live tab and for taking an image; nothing else that records or locates visitors.
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=(), payment=(), usb=(), serial=(), hid=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Other sites can neither show a visitor's images nor measure them.
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SPACE = "https://huggingface.co"


def frame_ancestors(allowed: Sequence[str], environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Sources that may embed the page: itself, those allowed, and on Hugging Face the site that shows a Space in a frame."""
    return ("'self'", *allowed, *([_SPACE] if environ.get("SPACE_ID") else []))


class SecurityHeaders:
    """Adds the headers, in place of any that the application sets itself.

    Args:
        app: The application behind it.
        embedded_by: Origins whose pages may embed this one, such as "https://example.org"; "*" allows all.
    """

    def __init__(self, app: ASGIApp, embedded_by: Sequence[str] = ()) -> None:
        self._app = app
        policy = _POLICY | {"frame-ancestors": " ".join(frame_ancestors(embedded_by))}
        self._headers = _HEADERS | {"Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and adds the headers to its response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
