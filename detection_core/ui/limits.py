"""What a visitor may send: Gradio bounds uploaded files, this bounds every other request."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD_LIMIT = 50 * 2**20
_JSON_LIMIT = 2 * 2**20
_UPLOAD_PATH = "/upload"


class BodyLimit:
    """ASGI middleware that refuses request bodies above 2 MiB, except for file uploads, which have a limit of their own.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on, or answers 413."""
        if scope["type"] != "http" or scope["path"].rstrip("/").endswith(_UPLOAD_PATH):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) > _JSON_LIMIT:
            await _refuse(send)
            return
        received = 0
        answered = False

        async def limited() -> Message:
            nonlocal received, answered
            message = await receive()
            received += len(message.get("body", b""))
            if received > _JSON_LIMIT and not answered:
                # A body without a length: there is nobody left to read it for.
                answered = True
                await _refuse(send)
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


async def _refuse(send: Send) -> None:
    body = b'{"detail": "This request is too large. Upload pictures as files of at most 50 MB."}'
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
