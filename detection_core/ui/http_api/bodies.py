"""The image in a request to the HTTP API: a file in a form, or the body itself; it is never stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.requests import Request

from detection_core.images.reading import LoadedImage, read_image
from detection_core.ui.http_api.problems import ProblemError
from detection_core.ui.shared.limits import image_limit
from detection_core.ui.shared.uploads import image_name

_HOW = "curl -F image=@photo.jpg"
_FORM = "multipart/form-data"
_RAW = "application/octet-stream"
_MOST_FIELDS = 50
_BINARY = {"type": "string", "format": "binary"}
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
        data: The image's file.
        name: The name of its file, or "image".
        fields: Names and values of the parameters in the query and the form.
    """

    data: bytes
    name: str
    fields: list[tuple[str, str]]

    async def image(self) -> LoadedImage:
        """Decodes the image.

        Raises:
            ImageError: If it cannot be used.
        """
        return await to_thread.run_sync(read_image, self.data)


async def read_body(request: Request) -> Sent:
    """Reads a request.

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
    if not data:
        raise ProblemError(f"Send an image: {_HOW}.", "no-image")
    if len(data) > (limit := image_limit()):
        raise ProblemError(f"An image may have at most {limit / 2**20:.0f} MB.", "too-large")
    return Sent(data, name, query + fields)


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
