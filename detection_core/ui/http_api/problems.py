"""Errors of the HTTP API as problem details (RFC 9457): one table of kinds, and the handlers that turn exceptions into responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from detection_core.engine import EngineBusyError, VisitorBusyError
from detection_core.errors import UserError
from detection_core.explanation import QueryError
from detection_core.images.reading import ImageError
from detection_core.models.catalog import UnknownModelError
from detection_core.models.model_key import VariantError
from detection_core.models.weights import WeightsError
from detection_core.ui.live.streams import StreamEndedError, TooManyStreamsError
from detection_core.ui.service import (
    STREAM_PAUSE,
    FrameOvertakenError,
    RequestError,
    StreamWaitsError,
    TooFewModelsError,
    TooSlowError,
)
from detection_core.ui.shared.full_disk import FULL_DISK, is_full_disk
from detection_core.ui.shared.image_urls import FetchesBusyError, ImageUrlError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        status: The response's status.
        title: What is wrong in general; the response's `detail` says it of the request.
        retry_after: Seconds after which the same request may succeed; None if it has to be changed.
    """

    status: int
    title: str
    retry_after: int | None = None


# By the fragment of `type`, which is an address in the documentation.
KINDS: dict[str, Kind] = {
    "no-image": Kind(400, "The request has no image"),
    "malformed-request": Kind(400, "The request cannot be read"),
    "unknown-model": Kind(404, "There is no such model"),
    "unknown-stream": Kind(404, "There is no such stream"),
    "unknown-path": Kind(404, "There is no such path"),
    "wrong-method": Kind(405, "The path does not allow this method"),
    "too-slow": Kind(408, "The request has come too slowly"),
    "overtaken-frame": Kind(409, "A later frame has been tracked already"),
    "too-large": Kind(413, "The image is too large"),
    "wrong-content-type": Kind(415, "The body is not sent as an image"),
    "invalid-parameters": Kind(422, "A parameter cannot be used"),
    "unreadable-image": Kind(422, "The image cannot be used"),
    "unsuitable-format": Kind(422, "The format cannot hold the model's results"),
    "url-not-fetched": Kind(422, "The server fetches no URLs"),
    "unusable-url": Kind(422, "The image cannot be fetched from its URL"),
    "too-few-models": Kind(422, "Fewer than two models are left to compare"),
    "too-many-requests": Kind(429, "Too many of this client's images are waiting", 2),
    "stream-waits": Kind(429, "There is no place for another stream yet", STREAM_PAUSE),
    "defect": Kind(500, "The server has failed"),
    "detection-failed": Kind(500, "Detection failed"),
    "busy": Kind(503, "The server is busy", 5),
    "model-unavailable": Kind(503, "The model's weights are not available", 60),
    "full-disk": Kind(507, "The server's disk is full", 60),
}
_KIND_OF: tuple[tuple[type[UserError], str], ...] = (
    (UnknownModelError, "unknown-model"),
    (VariantError, "invalid-parameters"),
    (StreamEndedError, "unknown-stream"),
    (FrameOvertakenError, "overtaken-frame"),
    (ImageError, "unreadable-image"),
    (ImageUrlError, "unusable-url"),
    (FetchesBusyError, "busy"),
    (RequestError, "invalid-parameters"),
    (QueryError, "invalid-parameters"),
    (TooFewModelsError, "too-few-models"),
    (StreamWaitsError, "stream-waits"),
    (TooManyStreamsError, "busy"),
    (VisitorBusyError, "too-many-requests"),
    (EngineBusyError, "busy"),
    (TooSlowError, "busy"),
    (WeightsError, "model-unavailable"),
)
_KIND_OF_STATUS = {400: "malformed-request", 404: "unknown-path", 405: "wrong-method"}


class ProblemError(UserError):
    """A request that the HTTP API refuses.

    Args:
        detail: What is wrong with this request and what to do, in sentences.
        kind: A key of `KINDS`.
        errors: What is wrong with each parameter: its name and a sentence.
    """

    def __init__(self, detail: str, kind: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.kind = kind
        self.errors = errors


def install(app: FastAPI) -> None:
    """Has an application respond to all errors with problem details."""
    app.add_exception_handler(UserError, _of_user_error)
    app.add_exception_handler(HTTPException, _of_status)
    app.add_exception_handler(ClientDisconnect, _of_nobody)
    app.add_exception_handler(OSError, _of_full_disk)
    app.add_exception_handler(Exception, _of_defect)


async def _of_user_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return _response(error.kind, str(error), [{"parameter": name, "detail": detail} for name, detail in error.errors])
    return _response(next((kind for known, kind in _KIND_OF if isinstance(error, known)), "detection-failed"), str(error))


async def _of_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _KIND_OF_STATUS.get(error.status_code, "malformed-request")
    detail = "The documentation, /api/v1/docs, lists the paths and their methods." if error.status_code in {404, 405} else str(error.detail)
    response = _response(kind, detail)
    response.headers.update(error.headers or {})
    return response


async def _of_nobody(request: Request, error: Exception) -> Response:
    # The client has gone in the middle of its request: only logs and metrics see this, with the status that proxies use.
    return Response(status_code=499)


async def _of_full_disk(request: Request, error: Exception) -> Response:
    # Large images in forms are spooled to the disk.
    if is_full_disk(error):
        return _response("full-disk", FULL_DISK)
    raise error


async def _of_defect(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after the response, so that it is logged.
    return _response("defect", "The server has failed at this request. Its log says why.")


def _response(name: str, detail: str, errors: Sequence[dict[str, str]] = ()) -> Response:
    kind = KINDS[name]
    # Relative to the request's address, so that it holds behind any proxy.
    content: dict[str, Any] = {"type": f"docs#{name}", "title": kind.title, "status": kind.status, "detail": detail}
    headers = None if kind.retry_after is None else {"Retry-After": str(kind.retry_after)}
    return JSONResponse(content | ({"errors": list(errors)} if errors else {}), kind.status, headers, MEDIA_TYPE)
