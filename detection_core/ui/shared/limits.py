"""Limits on requests: Gradio limits each uploaded file; this limits whole requests, and images more strictly than videos."""

from __future__ import annotations

import json

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detection_core.settings import read_setting

_JSON_LIMIT = 2 * 2**20
# Takes images in requests of its own.
_HTTP_API = "/api/v1/"
_UPLOAD_PATH = "/gradio_api/upload"
# What a form adds to the file in it.
_FORM_OVERHEAD = 2**20


def image_limit() -> int:
    """Size of the largest image file that is accepted, in bytes.

    Raises:
        SettingsError: If the setting is not a positive number.
    """
    return int(read_setting("max_image_megabytes") * 2**20)


class BodyLimit:
    """ASGI middleware that refuses request bodies above 2 MiB, and uploads above the size of one file.

    Args:
        app: The application behind it.
        largest_file: Size of the largest file accepted, in bytes; None is that of the largest image.
    """

    def __init__(self, app: ASGIApp, largest_file: int | None = None) -> None:
        self._app = app
        self._largest_image = image_limit()
        self._largest_file = largest_file or self._largest_image

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or responds with 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].rstrip("/")
        is_upload = path.endswith(_UPLOAD_PATH)
        limit = (
            self._largest_image + _FORM_OVERHEAD if _HTTP_API in path else self._largest_file + _FORM_OVERHEAD if is_upload else _JSON_LIMIT
        )
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            await self._refuse(send)
            return
        received = 0
        answered = False

        async def limited() -> Message:
            nonlocal received, answered
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit and not answered:
                # A body without a length: the response has been sent, so the rest need not be read.
                answered = True
                await self._refuse(send)
                return {"type": "http.disconnect"}
            return message

        async def unless_answered(message: Message) -> None:
            if not answered:
                await send(message)

        try:
            await self._app(scope, limited, unless_answered)
        except ClientDisconnect:
            if not answered:
                raise

    async def _refuse(self, send: Send) -> None:
        image, video = self._largest_image / 2**20, self._largest_file / 2**20
        text = f"This request is too large. Upload files one at a time, images of at most {image:g} MB, videos of at most {video:.0f} MB."
        problem = {"type": "docs#too-large", "title": "The request is too large", "status": 413, "detail": text}
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"application/problem+json")]})
        await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
