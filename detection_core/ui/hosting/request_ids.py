"""A name for each request, which its log records share."""

from __future__ import annotations

import secrets
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def new_request_id() -> str:
    """Begins a request in this context: everything that is logged in it from now on has its id."""
    request_id = secrets.token_hex(8)
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """The id of the request that this code runs for, or ""."""
    return _current.get()


def ensure_request_id() -> str:
    """The current id, or a new one where there is none: Gradio's queue runs events outside of the requests that sent them."""
    return current_request_id() or secrets.token_hex(8)
