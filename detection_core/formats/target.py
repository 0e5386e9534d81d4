"""Target of exported files: a folder, in which files appear only when they are complete, or a ZIP archive."""

from __future__ import annotations

import re
import secrets
import shutil
import time
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

from detection_core import file_names

# Characters that Windows does not allow in file names, control characters, and surrogates, which stand for invalid UTF-8.
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\x00-\x1f\ud800-\udfff]')
# In bytes; file systems allow 255, which must include the extension and a number.
_LONGEST_STEM = 150
# Already compressed.
_STORED = {".png"}


class Target:
    """Writes files by name.

    Args:
        place: The folder, or an archive open for writing.
        folder: Folder within it; "" for none.
        prefix: Prefix of all file names.

    Attributes:
        written: Names of all files written, in order, with "/" between folders.
    """

    def __init__(self, place: Path | zipfile.ZipFile, folder: str = "", prefix: str = "") -> None:
        self._place = place
        self._prefix = prefix
        self._folder = folder
        self._stems: set[str] = set()
        self.written: list[str] = []

    def write(self, name: str, content: bytes | IO[bytes]) -> None:
        """Writes one file; in a folder, it replaces a file with the same name.

        Args:
            name: Its name, with "/" between folders.
            content: Its bytes, or an open file that is read from its beginning.

        Raises:
            FileExistsError: If the archive already has a file with that name.
            OSError: If it cannot be written.
        """
        name = str(PurePosixPath(self._folder, self._prefix + name))
        if isinstance(self._place, zipfile.ZipFile):
            self._write_to_archive(self._place, name, content)
        else:
            self._write_to_folder(self._place / name, content)
        self.written.append(name)

    def _write_to_archive(self, archive: zipfile.ZipFile, name: str, content: bytes | IO[bytes]) -> None:
        if name in archive.NameToInfo:
            raise FileExistsError(f"{name} is already in the archive. Give each export its own folder in it.")
        entry = zipfile.ZipInfo(name, time.localtime()[:6])
        entry.external_attr = 0o644 << 16
        entry.compress_type = zipfile.ZIP_STORED if PurePosixPath(name).suffix in _STORED else zipfile.ZIP_DEFLATED
        with archive.open(entry, "w", force_zip64=not isinstance(content, bytes)) as file:
            _fill(file, content)

    def _write_to_folder(self, path: Path, content: bytes | IO[bytes]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its length does not depend on the length of the name.
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with part.open("wb") as file:
                _fill(file, content)
            part.replace(path)
        except OSError as error:
            # The error should name the file that was requested, not the temporary one.
            raise OSError(error.errno, error.strerror, str(path)) from error
        finally:
            part.unlink(missing_ok=True)

    def free_stem(self, base: str) -> str:
        """Returns an unused stem for one image's files, ignoring case; a number is appended if `base` is taken."""
        stem, number = base, 1
        while stem.casefold() in self._stems:
            number += 1
            stem = f"{base}-{number}"
        self._stems.add(stem.casefold())
        return stem


def safe_stem(file_name: str) -> str:
    """Returns an image's file name without folders and extension, valid on every file system."""
    stem = PurePosixPath(file_name.replace("\\", "/")).stem
    return shortened_stem(_NOT_IN_NAMES.sub("_", stem)).strip(" .") or "image"


def shortened_stem(stem: str) -> str:
    """Shortens a file name to a length that every file system allows."""
    return file_names.shortened(stem, _LONGEST_STEM)


def _fill(file: IO[bytes], content: bytes | IO[bytes]) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        content.seek(0)
        shutil.copyfileobj(content, file)
