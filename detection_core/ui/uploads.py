"""Pictures that visitors gave: read again as long as the server keeps them."""

from __future__ import annotations

from pathlib import Path

from detection_core.images import ImageError, LoadedImage, read_image
from detection_core.ui.limits import PICTURE_LIMIT


def read_upload(path: str | Path) -> LoadedImage:
    """Reads a visitor's picture.

    Raises:
        ImageError: If it has been cleaned up, or cannot be used.
    """
    try:
        size = Path(path).stat().st_size
    except OSError:
        raise ImageError("The picture is no longer on the server. Choose it again.") from None
    if size > PICTURE_LIMIT:
        raise ImageError(f"The file has {size / 2**20:.0f} MB; at most {PICTURE_LIMIT / 2**20:.0f} MB are allowed for a picture.")
    return read_image(path)
