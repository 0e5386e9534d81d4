"""Visitors' images that are kept for links, if the host allows that."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from pathlib import Path

from PIL import Image

from detection_core.images.reading import encode_jpeg

# A name cannot be guessed: whoever knows it has seen the image.
_NAME = re.compile(r"[0-9a-f]{32}")
_QUALITY = 95


class KeptImages:
    """Keeps images in a folder, as JPEG files without metadata (place, time, device).

    Args:
        folder: Where they are; it is made if need be.
        max_bytes: How large their files may be together; the least recently shown go first, but never the one just kept.

    Raises:
        OSError: If the folder cannot be made.
    """

    def __init__(self, folder: str | Path, max_bytes: int = 2 << 30) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._folder.mkdir(parents=True, exist_ok=True)

    def keep(self, image: Image.Image) -> str:
        """Keeps an upright RGB image; the same one is kept once.

        Returns:
            Its name: 32 hexadecimal digits, the same for the same pixels.

        Raises:
            OSError: If it cannot be written.
        """
        data = encode_jpeg(image, _QUALITY)
        name = hashlib.sha256(data).hexdigest()[:32]
        path = self._path(name)
        # Under another name first, so that no request reads an unfinished file.
        unfinished = path.with_suffix(".part")
        with self._lock:
            unfinished.write_bytes(data)
            unfinished.replace(path)
            self._clean_up(path)
        return name

    def find(self, name: str) -> Path | None:
        """The file of a kept image, or None if there is none, or no longer."""
        if not _NAME.fullmatch(name):
            return None
        try:
            os.utime(self._path(name))
        except FileNotFoundError:
            return None
        return self._path(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.jpg"

    def _clean_up(self, newest: Path) -> None:
        files = {path: path.stat() for path in self._folder.glob("*.jpg")}
        size = sum(stat.st_size for stat in files.values())
        for path in sorted(files, key=lambda path: files[path].st_mtime):
            if size <= self._max_bytes:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                size -= files[path].st_size
