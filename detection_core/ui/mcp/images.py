"""The image in a call of a tool: in base64, as a data URL, or as the URL of an image; it is never stored."""

from __future__ import annotations

import base64
import binascii
import re

from anyio import to_thread

from detection_core.images.reading import LoadedImage, read_image
from detection_core.ui.service import RequestError
from detection_core.ui.shared.image_urls import ImageFetcher, name_at
from detection_core.ui.shared.limits import image_limit

_URL = re.compile(r"\s*https?:", re.IGNORECASE)
_DATA_URL = re.compile(r"\s*data:[^,]{0,200};base64,", re.IGNORECASE)
_HOW = "Send the image itself, in base64 or as a data: URL"


async def read_sent(sent: str, fetcher: ImageFetcher | None, visitor: str) -> tuple[LoadedImage, str]:
    """Reads an image, and finds its name.

    Args:
        sent: What the assistant has sent.
        fetcher: What fetches images from URLs; None refuses them.
        visitor: The visitor who asks.

    Raises:
        RequestError: If it is no image in one of the three ways.
        ImageUrlError: If it cannot be fetched.
        ImageError: If it cannot be used.
    """
    if not _URL.match(sent):
        return await to_thread.run_sync(_decoded, sent), "image"
    if fetcher is None:
        raise RequestError(f"This server fetches no URLs. {_HOW}.")
    url = sent.strip()
    return await to_thread.run_sync(read_image, await fetcher.fetch(url, visitor)), name_at(url)


def _decoded(sent: str) -> LoadedImage:
    text = "".join(_DATA_URL.sub("", sent, count=1).split())
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise RequestError(f"This is not an image. {_HOW}.")
    if len(data) > (limit := image_limit()):
        raise RequestError(f"An image may have at most {limit / 2**20:g} MB.")
    return read_image(data)
