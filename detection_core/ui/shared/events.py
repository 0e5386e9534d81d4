"""Turning methods of the tabs into Gradio's event handlers and server functions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

# For all events of the page: no endpoints for programs, whose names they must not take; and views show their own progress.
QUIET: dict[str, Any] = {"api_name": "page", "api_visibility": "private", "show_progress": "hidden"}
# For detection: a visitor's newer request must reach the server, because it ends the older one.
CONCURRENT: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple"}


def server_function(method: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    """The method as a function of the same name; Gradio sets an attribute on server functions, which methods do not allow."""

    @wraps(method)
    async def call(sent: Any) -> Any:
        return await method(sent)

    return call
