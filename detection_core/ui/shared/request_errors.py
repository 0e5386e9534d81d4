"""Responses to programs whose requests Gradio's routes cannot read: one sentence, where Gradio would log a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gradio
import gradio_client
from fastapi.exceptions import RequestValidationError
from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_LIBRARIES = tuple(Path(str(module.__file__)).parent for module in (gradio, gradio_client))
_WANTED = "/gradio_api/info describes the arguments of each endpoint."
# Characters of what was sent that a message repeats.
_LONGEST_REPEATED = 100
_UNKNOWN = "There is no such endpoint or component. /gradio_api/info lists the endpoints with their arguments."


async def _unreadable(request: Request, error: Exception) -> Response:
    """Of a body that has the wrong form. FastAPI's own response repeats the whole body."""
    places = [each["loc"] for each in error.errors()] if isinstance(error, RequestValidationError) else []
    names = ", ".join(f"“{name}”" for _, *name_parts in places if (name := ".".join(each for each in name_parts if isinstance(each, str))))
    wanted = f"object with a valid {names[:_LONGEST_REPEATED]}" if names else 'object such as {"data": [image, model, threshold]}'
    return _response(422, f"Send a JSON {wanted}, with the header Content-Type: application/json. {_WANTED}")


async def _unknown(request: Request, error: Exception) -> Response:
    return _response(404, _UNKNOWN)


async def _failed_in_gradio(request: Request, error: Exception) -> Response:
    """Of an endpoint, component or argument that Gradio's routes have not found; an error of our own code is a defect.

    Raises:
        Exception: The defect.
    """
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    if not any(Path(innermost.filename).is_relative_to(library) for library in _LIBRARIES):
        raise error
    if innermost.name == "construct_args":
        # Of arguments by name; the message says which is missing or unknown.
        return _response(422, f"{str(error).partition('.')[0][:_LONGEST_REPEATED]}. {_WANTED}")
    return _response(404, _UNKNOWN)


def _response(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status)


EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestValidationError: _unreadable,
    FnIndexInferError: _unknown,
    KeyError: _failed_in_gradio,
    TypeError: _failed_in_gradio,
}
