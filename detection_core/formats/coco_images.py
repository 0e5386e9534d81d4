"""Finds the image that is meant among those of a COCO file: by its id, however it is written, or by its file name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from detection_core.file_names import on_one_line
from detection_core.formats.coco_file import CocoFile
from detection_core.formats.coco_values import as_whole_number, is_missing, plain
from detection_core.formats.errors import InvalidEntryError, ResultsFormatError, SeveralImagesError

_SHOWN_IDS = 10


@dataclass
class ImageEntries:
    """The entries of one image.

    Attributes:
        entries: Their positions in the file and the entries.
        file_names: Names that the file gives the image.
        sizes: Its (height, width) as recorded in the file.
    """

    entries: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    file_names: set[str] = field(default_factory=set)
    sizes: list[tuple[int, int]] = field(default_factory=list)


def entries_by_image(file: CocoFile) -> tuple[dict[str, ImageEntries], list[InvalidEntryError]]:
    """Groups the entries by their images.

    Numbers and texts of the same digits are one id; a text with zeros in front is another one. An entry or image without an id is known
    by its `file_name`.

    Returns:
        The entries by the id of their image as a text, and the errors of entries that belong to none.
    """
    images: dict[str, ImageEntries] = {}
    errors: list[InvalidEntryError] = []
    only_named: list[tuple[int, dict[str, Any]]] = []
    for image in file.images:
        if isinstance(image, dict) and (key := _id_of(image.get("id")) or next(iter(_file_names(image)), "")):
            size = as_whole_number(image.get("height")), as_whole_number(image.get("width"))
            known = images.setdefault(key, ImageEntries())
            known.file_names |= _file_names(image)
            if size[0] is not None and size[1] is not None:
                known.sizes.append((size[0], size[1]))
    for index, entry in enumerate(file.entries):
        place = f"{file.part}[{index}]"
        if not isinstance(entry, dict):
            errors.append(InvalidEntryError(f"{place} must be an object with “image_id”, “category_id” and “bbox”."))
        elif key := _id_of(entry.get("image_id")):
            known = images.setdefault(key, ImageEntries())
            known.entries.append((index, entry))
            if "file_name" in entry:
                known.file_names |= _file_names(entry)
        elif is_missing(entry.get("image_id")) and _file_names(entry):
            only_named.append((index, entry))
        else:
            errors.append(InvalidEntryError(f"{place}: its “image_id” must be an integer or a string, or it must have a “file_name”."))
    if only_named:
        _add_by_name(only_named, images)
    return images, errors


def _add_by_name(entries: list[tuple[int, dict[str, Any]]], images: dict[str, ImageEntries]) -> None:
    """Adds entries that have a file name in place of an id to the only image of this name, or to a new one."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key, image in images.items():
        for name in image.file_names:
            keys[name].append(key)
    for index, entry in entries:
        (name,) = _file_names(entry)
        key = keys[name][0] if len(keys[name]) == 1 else name
        image = images.setdefault(key, ImageEntries())
        image.entries.append((index, entry))
        image.file_names.add(name)
    for image in images.values():
        image.entries.sort(key=itemgetter(0))


def find_image(images: dict[str, ImageEntries], image_id: int | str | None, file_name: str) -> tuple[ImageEntries, str]:
    """Returns the entries of the image that is meant, and a note if it was found by its name.

    Args:
        images: The entries by image.
        image_id: The image's id or its name in the file; zeros in front and the extension do not matter if it is clear without them.
            None takes the only image, or the one that has this file name.
        file_name: Name of the image's file, or "".

    Raises:
        SeveralImagesError: If there are several, and which of them is meant is not clear.
        ResultsFormatError: If there are only others.
    """
    if not images:
        return ImageEntries(), ""
    if image_id is not None:
        wanted = str(image_id).strip()
        found = _matching(wanted, images, by_id=True)
        if not found:
            name = wanted if as_whole_number(wanted) is not None else f"“{on_one_line(wanted[:100])}”"
            raise ResultsFormatError(f"Nothing in the file has the image id {name}; it has {_listed(images)}.")
        if len(found) > 1:
            raise SeveralImagesError(f"Several images in the file fit the id {wanted}; choose one of the image ids {_listed(found)}.")
        return images[found[0]], ""
    if len(images) == 1:
        return next(iter(images.values())), ""
    found = _matching(file_name, images, by_id=False) if file_name else []
    if len(found) != 1:
        raise SeveralImagesError(f"The file covers {len(images):,} images; choose one of the image ids {_listed(images)}.")
    # The id is already a text of one line.
    return images[found[0]], f"Of the {len(images):,} images in the file, this is taken for {_listed(found)}, by its name."


def _id_of(value: Any) -> str:
    """An image's id as a text, or "" if it is none."""
    value = plain(value)
    if isinstance(value, str):
        return value.strip()
    number = as_whole_number(value)
    # Python does not write numbers of thousands of digits.
    return str(number) if number is not None and abs(number) < 10**40 else ""


def _file_names(entry: dict[str, Any]) -> set[str]:
    name = entry.get("file_name")
    return {name.strip()} if isinstance(name, str) and name.strip() else set()


def _matching(wanted: str, images: dict[str, ImageEntries], *, by_id: bool) -> list[str]:
    """Ids of the images that fit best: by the id as written, by its number, or by the file name, its last part, or its stem."""
    number, stem_number = as_whole_number(wanted), as_whole_number(_stem(wanted))
    if by_id and wanted in images:
        return [wanted]
    if by_id and number is not None and (found := [key for key in images if as_whole_number(key) == number]):
        return found
    ways: tuple[Callable[[str], str], ...] = (str, _last_part, _stem)
    for way in ways:
        if found := [key for key, image in images.items() if any(way(name) == way(wanted) for name in image.file_names or {key})]:
            return found
    # Where the file names its images, an id is not taken for a name.
    unnamed = [key for key, image in images.items() if not image.file_names]
    return [key for key in unnamed if stem_number is not None and as_whole_number(_stem(key)) == stem_number]


def _last_part(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _stem(name: str) -> str:
    name = _last_part(name)
    return name.rpartition(".")[0] or name


def _listed(ids: Iterable[str]) -> str:
    def order(key: str) -> tuple[bool, int, str]:
        number = as_whole_number(key)
        return number is None, number or 0, key

    ordered = sorted(ids, key=order)
    texts = ", ".join(on_one_line(key[:40]) for key in ordered[:_SHOWN_IDS])
    return texts + (f" and {len(ordered) - _SHOWN_IDS:,} more" if len(ordered) > _SHOWN_IDS else "")
