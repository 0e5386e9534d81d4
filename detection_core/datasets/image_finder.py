"""Finds the image that an exporter means by a file name: one with backslashes, escapes, another machine's folders, or a URL around it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*/?([^?#]*)")
# Label Studio serves local files under an address that has their path in its query.
_LOCAL_FILE = re.compile(r"/data/local-files/?\?d=([^&#]*)")
_ESCAPED_AGAIN = 6
_DRIVE = re.compile(r"[A-Za-z]:")

Parts = tuple[str, ...]


@dataclass(frozen=True)
class FoundImage:
    """Where an image is.

    Attributes:
        path: The file; where none is found, where it should be.
        is_guess: It is there under another name than the one that was given.
        shortened: It is there without the first of the folders in its name.
        several: Which files fit equally well, so that none is taken.
    """

    path: Path
    is_guess: bool = False
    shortened: bool = False
    several: Parts = ()


class ImageFinder:
    """Finds images in `images/` beside an annotation file, or beside the file itself.

    Args:
        folder: The annotation file's folder.
        places: Other folders in which images may be, the likeliest first.
    """

    def __init__(self, folder: Path, places: Sequence[Path] = ()) -> None:
        self.folder, self._images = folder, folder / "images"
        self._places = tuple(places)
        # COCO's names may begin with a folder that is beside that of the annotations.
        around = [folder.parent] if folder.name.lower() == "annotations" else []
        self._bases = (self._images, folder, *places, *around)

    def find(self, name: str) -> FoundImage:
        """The file of this name or, if there is none, the only one that fits it.

        A file fits if its name is the same but for the way of writing: backslashes, `./`, an `images/` in front, percent-encoding, another
        case of letters or another composition of accents. Of a name in a folder that is not here, of a URL and of an absolute path, the
        last part may fit.
        """
        for base in self._bases:
            if _is_file(base / name):
                return FoundImage(base / name)
        ways = ways_to_write(name)
        for parts in ways:
            for base in self._bases:
                if _is_file(base.joinpath(*parts)):
                    return FoundImage(base.joinpath(*parts), is_guess=True)
        several: Parts = ()
        for parts in ways:
            found = self._fitting(parts, strict=not _is_elsewhere(name))
            if len(found) == 1:
                shortened = len(found[0]) < len(parts) - (parts[0] == "images")
                return FoundImage(self._root.joinpath(*found[0]), is_guess=True, shortened=shortened)
            several = several or tuple("/".join(each) for each in found)
        return FoundImage(self.place_of(name), several=several)

    def place_of(self, name: str) -> Path:
        """Where the image of this name should be."""
        home = self._places[0] if self._places and not self._images.is_dir() else self._images
        return home / name

    def _fitting(self, parts: Parts, *, strict: bool) -> list[Parts]:
        """The files that fit, by the most of the name's last parts that any fits by."""
        alike = self._by_last_part.get(folded(parts[-1]), [])
        for length in range(len(parts), 0, -1):
            wanted = tuple(map(folded, parts[-length:]))
            same = [each for each in alike if tuple(map(folded, each)) == wanted]
            # Of a name's own folders none is left out lightly: the rest may name another image.
            if same and not (strict and parts[:-length] not in ((), ("images",)) and len(alike) > 1):
                exact = [each for each in same if each == parts[-length:]]
                return exact or same
        return alike

    @property
    def _root(self) -> Path:
        return next((place for place in (self._images, *self._places) if place.is_dir()), self.folder)

    @cached_property
    def _by_last_part(self) -> dict[str, list[Parts]]:
        """All files in the first of the folders for images and its subfolders, or, where there is none, beside the annotations."""
        files: dict[str, list[Parts]] = defaultdict(list)
        for place, folders, names in os.walk(self._root):
            if self._root == self.folder:
                folders.clear()
            folders.sort()
            inner = Path(place).relative_to(self._root).parts
            for name in sorted(names):
                files[folded(name)].append((*inner, name))
        return files


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # No file can have such a name.
        return False


def _is_elsewhere(name: str) -> bool:
    """Whether a name says where the file is on another machine."""
    return bool(_URL.match(name) or _DRIVE.match(name) or name[:1] in ("/", "\\") or ".." in re.split(r"[/\\]", name))


def ways_to_write(name: str) -> list[Parts]:
    """The folders and the name that are meant, as they stand and with escapes replaced."""
    if found := _LOCAL_FILE.search(name) or _URL.match(name):
        name = found[1]
    texts = [name.strip()]
    # A link in a link is escaped twice, and so on.
    while unquote(texts[-1]) != texts[-1] and len(texts) < _ESCAPED_AGAIN:
        texts.append(unquote(texts[-1]))
    ways = []
    for text in texts:
        parts = [part for part in re.split(r"[/\\]+", text) if part not in ("", ".", "..")]
        if parts and _DRIVE.fullmatch(parts[0]):
            del parts[0]
        if parts and "\0" not in text:
            ways.append(tuple(parts))
    return ways


def folded(part: str) -> str:
    """A name as it is compared: without the case of letters, and with accents composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
