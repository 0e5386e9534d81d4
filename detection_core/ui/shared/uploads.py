"""Visitors' uploads: finds and reads them while Gradio keeps them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from gradio.utils import get_upload_folder

from detection_core.file_names import without_unprintable
from detection_core.images.reading import ImageError, LoadedImage, read_image
from detection_core.ui.components.client_values import text_of
from detection_core.ui.shared.limits import image_limit

_LONGEST_NAME = 240


def read_upload(path: str | Path) -> LoadedImage:
    """Reads a visitor's image.

    Raises:
        ImageError: If it has been deleted, or cannot be used.
    """
    try:
        size = Path(path).stat().st_size
    except OSError:
        raise ImageError("The image is no longer on the server. Choose it again.") from None
    if size > (limit := image_limit()):
        raise ImageError(f"The file has {size / 2**20:.0f} MB; at most {limit / 2**20:.0f} MB are allowed for an image.")
    return read_image(path)


def uploaded_path(sent: object) -> Path | None:
    """The file that a browser says it has uploaded; None if it is outside Gradio's upload folder, or does not exist any more."""
    file = _in_upload_folder(sent)
    return file if file is not None and file.is_file() else None


def is_in_upload_folder(sent: object) -> bool:
    """Whether a path leads into Gradio's upload folder; the file may have been deleted."""
    return _in_upload_folder(sent) is not None


def _in_upload_folder(sent: object) -> Path | None:
    folder = Path(get_upload_folder()).resolve()
    try:
        file = Path(sent if isinstance(sent, str) else "").resolve()
        # Raises the error of a name that is too long.
        file.is_file()
    except (OSError, ValueError):  # Not a path, or too long for one.
        return None
    return file if file.is_relative_to(folder) else None


def image_name(sent: object, path: Path) -> str:
    """The visitor's name of an image, as a relative path that cannot lead out of a folder."""
    parts = [part for part in re.split(r"[/\\]+", without_unprintable(text_of(sent))) if part.strip(". ")]
    return "/".join(parts)[-_LONGEST_NAME:] or path.name


def version_of(path: Path) -> tuple[int, int] | None:
    """Distinguishes an upload from a later one of the same content, which replaces it; None if the file does not exist any more."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def is_upload(path: Path, uploads: Collection[str]) -> bool:
    """Whether a visitor has uploaded that file, rather than only named a file of the server.

    Args:
        path: The file, resolved.
        uploads: `Blocks.upload_file_set`, in which Gradio records uploads.
    """
    # A copy: Gradio adds to it in another thread.
    return uploaded_path(str(path)) == path and any(Path(each).resolve() == path for each in tuple(uploads) if Path(each).name == path.name)
