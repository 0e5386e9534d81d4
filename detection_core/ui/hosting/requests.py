"""ASGI middleware that gives each request an id, counts its response and logs it without its visitor."""

from __future__ import annotations

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detection_core.ui.hosting.metrics import Metrics
from detection_core.ui.hosting.request_ids import new_request_id

logger = logging.getLogger(__name__)

# Gradio begins its queue in the request to this address, and runs all events in its context from then on.
_STARTUP = "startup-events"
# Kinds of addresses by what their paths contain; paths themselves name visitors' files and would be labels without bounds.
_KINDS = {
    "/gradio_api/upload": "upload",
    "/gradio_api/file": "file",
    "/gradio_api/queue": "queue",
    "/gradio_api/heartbeat": "heartbeat",
    "/gradio_api/explorer": "module",
    "/gradio_api/component_server": "action",
    "/gradio_api/run": "action",
    "/gradio_api/call": "action",
    "/gradio_api/info": "page",
    "/api/": "api",
    "/mcp": "api",
    "/healthz": "health",
    "/readyz": "health",
    "/metrics": "metrics",
}
# As proxies count requests whose client went before there was a response.
_CLIENT_GONE = 499
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def kind_of_address(path: str) -> str:
    """What an address is for, as one of few words."""
    if path in ("", "/"):
        return "page"
    return next((kind for prefix, kind in _KINDS.items() if prefix in path), "other")


class RequestRecorder:
    """Gives each request an id, which its response has as `X-Request-ID`, counts the response, and logs it at the level INFO.

    Args:
        app: The application behind it.
        metrics: Where responses are counted; None counts none.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http" or scope["path"].endswith(_STARTUP):
            await self._app(scope, receive, send)
            return
        request_id, started, status = new_request_id(), time.monotonic(), 0

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        kind = kind_of_address(scope["path"])
        try:
            await self._app(scope, receive, with_id)
            status = status or _CLIENT_GONE
        finally:
            status = status or 500
            if self._metrics is not None:
                self._metrics.responses.labels(kind, str(status)).inc()
            method = scope["method"] if scope["method"] in _METHODS else "other"
            facts = {"request_id": request_id, "method": method, "kind": kind, "status": status}
            logger.info("request", extra={"facts": facts | {"seconds": round(time.monotonic() - started, 4)}})
