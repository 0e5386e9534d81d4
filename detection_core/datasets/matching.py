"""Finds which entry of an annotation file an image is, by the ends of both names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from detection_core.datasets.image_finder import Parts, folded, ways_to_write
from detection_core.formats.numbering import Id

# Two show already that there is more than one.
_KEPT_BY_THE_END = 2


class ListedImage(NamedTuple):
    """An image of an annotation file."""

    id: Id
    name: str


class _Fit(NamedTuple):
    """How well an image fits an entry; a better one is greater."""

    is_there: bool
    length: int
    is_whole: bool
    is_exact: bool


class _Way(NamedTuple):
    """An entry, and one of the ways to read its name."""

    parts: Parts
    entry: ListedImage


@dataclass(frozen=True)
class Matches:
    """What `match_images` has found.

    Attributes:
        entries: The entry of each image, or None.
        ambiguous: Places of images that fit several entries equally well, or an entry as well as another image does.
        guesses: Places of images that have the end of an entry's name only.
    """

    entries: list[ListedImage | None]
    ambiguous: list[int]
    guesses: list[int]


def match_images(images: Sequence[str], listed: Sequence[ListedImage], folder: Path) -> Matches:
    """Finds the entry of each image; no two images get the same one.

    An image fits best if it is where the annotation file says: in `images/` beside the file, or beside the file itself. Otherwise the entry
    counts with whose name as many of the last parts of its path are the same as with no other's. How the file writes names does not matter:
    see `file_names`.

    Args:
        images: The images' paths, or names.
        listed: The entries of the annotation file.
        folder: The folder of the annotation file.
    """
    parts_of = [tuple(re.split(r"[/\\]+", str(Path(image).absolute()))) for image in images]
    index = _Index(listed, {folded(parts[-1]) for parts in parts_of}, folder)
    found = [index.best(_place(image), parts) for image, parts in zip(images, parts_of, strict=True)]
    claims: dict[Id, list[_Fit]] = defaultdict(list)
    for fits in found:
        for fit, way in fits:
            claims[way.entry.id].append(fit)
    result = Matches([], [], [])
    for place, fits in enumerate(found):
        entry = None
        if len(fits) > 1:
            result.ambiguous.append(place)
        elif fits:
            fit, way = fits[0]
            rivals = claims[way.entry.id]
            if fit == max(rivals):
                if rivals.count(fit) > 1:
                    result.ambiguous.append(place)
                else:
                    entry = way.entry
                    if not (fit.is_there or fit.is_whole):
                        result.guesses.append(place)
        result.entries.append(entry)
    return result


class _Index:
    """The entries by their names, and by the ends of these.

    Args:
        listed: All entries.
        last_parts: The last parts of the images' names; other entries are left out.
        folder: The folder of the annotation file.
    """

    def __init__(self, listed: Sequence[ListedImage], last_parts: set[str], folder: Path) -> None:
        self._folder = folder.resolve()
        self._whole: dict[Parts, list[_Way]] = defaultdict(list)
        self._ends: dict[Parts, list[_Way]] = defaultdict(list)
        for entry in listed:
            for parts in ways_to_write(entry.name):
                if folded(parts[-1]) in last_parts:
                    self._add(_Way(parts, entry))

    def _add(self, way: _Way) -> None:
        parts = tuple(map(folded, way.parts))
        self._whole[parts].append(way)
        # A folder `images/` belongs to the usual layout and not to the name.
        first = 2 if parts[0] == "images" and len(parts) > 1 else 1
        if first == 2:
            self._whole[parts[1:]].append(way)
        for start in range(first, len(parts)):
            if len(alike := self._ends[parts[start:]]) < _KEPT_BY_THE_END:
                alike.append(way)

    def best(self, place: Path, parts: Parts) -> list[tuple[_Fit, _Way]]:
        """Returns the entry that an image fits best, or several that it fits equally well, or nothing."""
        ends = [tuple(map(folded, parts[-length:])) for length in range(len(parts), 0, -1)]
        for end in ends:
            for ways, is_whole in ((self._whole.get(end), True), (self._ends.get(end), False)):
                if ways:
                    return _best([(self._fit(place, parts, len(end), way, is_whole=is_whole), way) for way in ways])
        return []

    def _fit(self, place: Path, parts: Parts, length: int, way: _Way, *, is_whole: bool) -> _Fit:
        is_there = place in (self._folder.joinpath("images", *way.parts), self._folder.joinpath(*way.parts))
        return _Fit(is_there, length, is_whole, parts[-length:] == way.parts[-length:])


def _place(image: str) -> Path:
    """Returns where an image is. The file itself may be a link to another of any name."""
    path = Path(image)
    return _real(path.parent) / path.name


@cache
def _real(folder: Path) -> Path:
    return folder.resolve()


def _best(fits: list[tuple[_Fit, _Way]]) -> list[tuple[_Fit, _Way]]:
    highest = max(fit for fit, _ in fits)
    return list({way.entry.id: (fit, way) for fit, way in fits if fit == highest}.values())
