"""Pictures that visitors gave: read again as long as the server keeps them."""

from __future__ import annotations

from pathlib import Path

from detection_core.images import ImageError, LoadedImage, read_image


def read_upload(path: str | Path) -> LoadedImage:
    """Reads a visitor's picture.

    Raises:
        ImageError: If it has been cleaned up, or cannot be used.
    """
    if not Path(path).exists():
        raise ImageError("The picture is no longer on the server. Choose it again.")
    return read_image(path)
