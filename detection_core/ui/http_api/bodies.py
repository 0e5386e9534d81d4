"""The image in a request to the HTTP API: a file in a form, or the body itself; it is never stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request

from detection_core.images.reading import LoadedImage, read_image
from detection_core.ui.http_api.problems import ProblemError
from detection_core.ui.shared.image_urls import ImageFetcher, name_at
from detection_core.ui.shared.limits import image_limit
from detection_core.ui.shared.uploads import image_name

_HOW = "curl -F image=@photo.jpg"
_FORM = "multipart/form-data"
_RAW = "application/octet-stream"
_MOST_FIELDS = 50
_BINARY = {"type": "string", "format": "binary"}
OPENAPI_URL: dict[str, Any] = {
    "name": "url",
    "in": "query",
    "required": False,
    "description": "Where the image is, on a public host; in place of the image.",
    "schema": {"type": "string"},
}
OPENAPI_BODY: dict[str, Any] = {
    "required": True,
    "description": "The image in a form, whose other fields may be parameters, or as the body itself.",
    "content": {
        _FORM: {"schema": {"type": "object", "required": ["image"], "properties": {"image": _BINARY}}},
        "image/*": {"schema": _BINARY},
        _RAW: {"schema": _BINARY},
    },
}


@dataclass(frozen=True, eq=False)
class Sent:
    """What a request has sent.

    Attributes:
        read: Gives the image's file, once the parameters have been checked: one from a URL is fetched only then.
        name: The name of its file, or "image".
        fields: Names and values of the parameters in the query and the form, without that of the URL.
    """

    read: Callable[[], Awaitable[bytes]]
    name: str
    fields: list[tuple[str, str]]

    async def image(self) -> LoadedImage:
        """Decodes the image.

        Raises:
            ImageUrlError: If it cannot be fetched.
            ImageError: If it cannot be used.
        """
        return await to_thread.run_sync(read_image, await self.read())


async def read_body(request: Request, fetcher: ImageFetcher | None, visitor: str) -> Sent:
    """Reads a request.

    Args:
        request: The request.
        fetcher: What fetches images from URLs; None refuses them.
        visitor: The visitor who asks.

    Raises:
        ProblemError: If it has no image, too large a one, or in a way that is not known.
    """
    query = list(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM:
        data, name, fields = await _read_form(request)
    elif kind.startswith("image/") or kind == _RAW:
        data, name, fields = await request.body(), "image", []
    elif kind or await request.body():
        raise ProblemError(
            f"Send the image in a form, as {_HOW} does, or as the body with its own Content-Type, such as image/jpeg: "
            "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'.",
            "wrong-content-type",
        )
    else:
        data, name, fields = b"", "", []
    fields = query + fields
    urls = [value for field, value in fields if field == "url"]
    if urls:
        return _by_url(urls, data, [each for each in fields if each[0] != "url"], fetcher, visitor)
    if not data:
        raise ProblemError(f"Send an image: {_HOW}.", "no-image")
    if len(data) > (limit := image_limit()):
        raise ProblemError(f"An image may have at most {limit / 2**20:.0f} MB.", "too-large")

    async def read() -> bytes:
        return data

    return Sent(read, name, fields)


def _by_url(urls: list[str], data: bytes, fields: list[tuple[str, str]], fetcher: ImageFetcher | None, visitor: str) -> Sent:
    if fetcher is None:
        raise ProblemError(f"This server fetches no URLs. Send the image itself: {_HOW}.", "url-not-fetched")
    if data or len(urls) > 1:
        sentence = "Send one image or one URL."
        raise ProblemError(sentence, "invalid-parameters", [("url", sentence)])
    return Sent(partial(fetcher.fetch, urls[0], visitor), name_at(urls[0]), fields)


async def _read_form(request: Request) -> tuple[bytes, str, list[tuple[str, str]]]:
    # Large files are spooled to a file without a name, which is gone once it is closed.
    async with request.form(max_files=1, max_fields=_MOST_FIELDS) as form:
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        if "image" in dict(fields):
            raise ProblemError(f"The field “image” has to be a file: {_HOW}, with an @.", "no-image")
        if any(name != "image" for name, _ in files):
            raise ProblemError(f"The image's field has to be named “image”: {_HOW}.", "no-image")
        for _, file in files:
            return await file.read(), image_name(file.filename, Path("image")), fields
    return b"", "", fields
