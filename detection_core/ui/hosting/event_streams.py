"""ASGI middleware that ends the event streams of unknown jobs properly, which Gradio breaks off with an error."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EventStreams:
    """Ends responses that have begun before Gradio raised an HTTP error; the stream's last event has said it by then.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except RuntimeError as error:
            # Starlette's, in place of an error that it can no longer turn into a response.
            if not (has_begun and isinstance(error.__cause__, HTTPException)):
                raise
            await send({"type": "http.response.body", "body": b""})
