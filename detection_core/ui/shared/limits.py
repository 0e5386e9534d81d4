"""Limits on requests: Gradio limits each uploaded file; this limits whole requests and their time, and images more strictly than videos."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detection_core.settings import read_setting

_JSON_LIMIT = 2 * 2**20
# Takes images in requests of its own.
_HTTP_API = "/api/v1/"
# Takes images in base64.
MCP_PATH = "/mcp"
_UPLOAD_PATH = "/gradio_api/upload"
# What a form adds to the file in it.
_FORM_OVERHEAD = 2**20
# Seconds that the server waits for a body, and bytes a second that must come after them: slower than any mobile network.
_PATIENCE, _SLOWEST = 30.0, 4096
_TOO_SLOW = "The request did not arrive in time. Send it again, over a faster connection if it happens again."


def image_limit() -> int:
    """Size of the largest image file that is accepted, in bytes.

    Raises:
        SettingsError: If the setting is not a positive number.
    """
    return int(read_setting("max_image_megabytes") * 2**20)


def mcp_limit() -> int:
    """Size of the largest call of a tool for assistants, in bytes.

    Raises:
        SettingsError: If the setting of the largest image is not a positive number.
    """
    return image_limit() * 4 // 3 + _FORM_OVERHEAD


class BodyLimit:
    """ASGI middleware that refuses request bodies above 2 MiB, uploads above the size of one file, and bodies that come too slowly.

    Args:
        app: The application behind it.
        largest_file: Size of the largest file accepted, in bytes; None is that of the largest image.
        patience: How long it waits for a body that does not come, in seconds.
    """

    def __init__(self, app: ASGIApp, largest_file: int | None = None, patience: float = _PATIENCE) -> None:
        self._app = app
        self._largest_image = image_limit()
        self._largest_file = largest_file or self._largest_image
        self._patience = patience
        self._largest_call = mcp_limit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or responds with 408 or 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].rstrip("/")
        limit = self._limit_at(path)
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            await self._refuse_size(send)
            return
        received, waited = 0, 0.0
        is_complete = is_refused = is_answered = False

        async def limited() -> Message:
            nonlocal received, waited, is_complete, is_refused
            if is_complete:
                # From here on, it waits for the client to go.
                return await receive()
            started = time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, self._patience + received / _SLOWEST - waited))
            except TimeoutError:
                is_refused = True
                if not is_answered:
                    await _refuse(send, 408, "too-slow", "The request has come too slowly", _TOO_SLOW)
                return {"type": "http.disconnect"}
            waited += time.monotonic() - started
            received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if received > limit:
                # A body without a length: the response has been sent, so the rest need not be read.
                is_refused = is_complete = True
                if not is_answered:
                    await self._refuse_size(send)
                return {"type": "http.disconnect"}
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal is_answered
            if not is_refused:
                is_answered = True
                await send(message)

        # A client that has disconnected is not a defect, and gets no response.
        with suppress(ClientDisconnect):
            await self._app(scope, limited, unless_refused)

    def _limit_at(self, path: str) -> int:
        if _HTTP_API in path:
            return self._largest_image + _FORM_OVERHEAD
        if path.endswith(_UPLOAD_PATH):
            return self._largest_file + _FORM_OVERHEAD
        return self._largest_call if path.endswith(MCP_PATH) else _JSON_LIMIT

    async def _refuse_size(self, send: Send) -> None:
        image, video = self._largest_image / 2**20, self._largest_file / 2**20
        text = f"This request is too large. Upload files one at a time, images of at most {image:g} MB, videos of at most {video:.0f} MB."
        await _refuse(send, 413, "too-large", "The request is too large", text)


async def _refuse(send: Send, status: int, kind: str, title: str, detail: str) -> None:
    problem = {"type": f"docs#{kind}", "title": title, "status": status, "detail": detail}
    # The rest of the body is not read, so that the connection cannot be used for another request.
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
