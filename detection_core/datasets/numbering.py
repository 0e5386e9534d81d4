"""Numbers images and classes as the user's own annotation file does, so that results can be measured against that file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from detection_core.datasets.coco_json import DataError, json_object, listed_entries
from detection_core.datasets.matching import ListedImage, match_images
from detection_core.datasets.normalization import as_whole_number, is_missing, one_line
from detection_core.detections.coco_names import BACKGROUND, UNUSED
from detection_core.formats.numbering import Category, Id, Numbering, highest, shortened_list

_SHOWN = 3


def read_numbering(
    annotations: str | Path, images: Sequence[str], classes: Sequence[str], *, names: Sequence[str] = (), title: str = ""
) -> Numbering:
    """Reads the ids that an annotation file in COCO's format has for images and classes.

    An image is the one of that name, however the file writes it: see `matching`. Ids are those of the file, even texts, because
    pycocotools compares them as they are. The file needs no annotations.

    Args:
        annotations: The file, or a folder with `annotations.json`.
        images: The images' paths, or names.
        classes: The model's class names.
        names: What messages call the images; empty for `images`.
        title: What messages call the file; "" is its name.

    Returns:
        The numbering, with notes on images that the file does not list, and on what does not fit exactly.

    Raises:
        DataError: If the file is not in COCO's format, or has none of the images or none of the classes.
    """
    file = Path(annotations)
    file = file / "annotations.json" if file.is_dir() else file
    title = title or file.name
    data = json_object(file, title)
    images_of_file = _with_ids(data, "images", "file_name", title)
    listed = [ListedImage(number, entry["file_name"]) for entry, number in images_of_file]
    sizes = {number: size for entry, number in images_of_file if (size := _size(entry))}
    categories = [Category(number, entry["name"]) for entry, number in _with_ids(data, "categories", "name", title)]
    found = match_images(images, listed, file.parent)
    ids = tuple(None if entry is None else entry.id for entry in found.entries)
    first_free = highest(entry.id for entry in listed) + 1
    numbering = Numbering(ids, f"Image ids are those of {title}", title, tuple(categories), sizes, first_free)
    names = names or images
    ambiguous = set(found.ambiguous)
    unclear = [names[place] for place in found.ambiguous]
    unlisted = [name for place, name in enumerate(names) if ids[place] is None and place not in ambiguous]
    guesses = [(names[place], entry.name) for place in found.guesses if (entry := found.entries[place])]
    notes = [*_on_unlisted(unlisted, unclear, title, first_free), *_on_guesses(guesses, title)]
    if names and not any(number is not None for number in ids):
        raise DataError(
            f"{title} has none of the images: it lists {one_line(listed[0].name)}, for example, and not {one_line(names[0])}. Give the "
            f"annotation file of these images.{' ' * bool(unclear)}{_on_ambiguous(unclear, title)}"
        )
    notes += [*_on_others(listed, ids, title), *_on_classes(numbering, classes)]
    return replace(numbering, notes=tuple(notes))


def _with_ids(data: dict[str, Any], part: str, named: str, title: str) -> list[tuple[dict[str, Any], Id]]:
    """Returns the entries that have an id and a name, with their ids."""
    usable = []
    for entry in listed_entries(title, data, part):
        number = entry.get("id") if isinstance(entry, dict) else None
        # To Python and pycocotools, 5.0 is the same as 5.
        number = int(number) if isinstance(number, float) and number.is_integer() else number
        if _is_id(number) and isinstance(entry.get(named), str) and entry[named]:
            usable.append((entry, number))
    if not usable:
        raise DataError(f'{title}: no entry of "{part}" has both an "id" and a "{named}". Export the annotations again as COCO JSON.')
    return usable


def _is_id(value: Any) -> TypeGuard[Id]:
    # JSON allows thousands of digits, which no message can show.
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40)


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    width, height = (as_whole_number(entry.get(side)) for side in ("width", "height"))
    return None if is_missing(width) or is_missing(height) else (width, height)


def _on_unlisted(unlisted: Sequence[str], unclear: Sequence[str], title: str, first_free: int) -> list[str]:
    notes = [_on_ambiguous(unclear, title)] if unclear else []
    if unlisted:
        notes.append(f"{_counted(unlisted)} left out of COCO results, as {title} does not list {_them(unlisted)}: {_some(unlisted)}.")
    if notes:
        notes.append(f"In a COCO data set, such images have new ids from {first_free} on.")
    return notes


def _on_ambiguous(images: Sequence[str], title: str) -> str:
    if not images:
        return ""
    return (
        f"{_counted(images)} left out of COCO results, as {title} does not say clearly which image is meant: {_some(images)}. Keep the "
        "images in the folders that the file names."
    )


def _on_guesses(guesses: Sequence[tuple[str, str]], title: str) -> list[str]:
    if not guesses:
        return []
    image, name = map(one_line, guesses[0])
    found = f"{_counted(guesses)} found in {title} by the end of the name alone, such as {image} as {name}"
    return [f"{found}. Check that it is the same image."]


def _on_others(listed: Sequence[ListedImage], ids: Sequence[Id | None], title: str) -> list[str]:
    """Says that images without results count in an evaluation."""
    theirs = {entry.id for entry in listed}
    missing = len(theirs - set(ids))
    if not missing:
        return []
    are, their, them = ("are", "their", "them") if missing != 1 else ("is", "its", "it")
    return [
        f"{missing} of the {len(theirs)} images that {title} lists {are} not among those given. COCOeval counts {their} objects as missed, "
        f"unless its params.imgIds leave {them} out."
    ]


def _on_classes(numbering: Numbering, classes: Sequence[str]) -> list[str]:
    title, theirs = numbering.file, [category.name for category in numbering.categories]
    names = [name for name in classes if name not in (BACKGROUND, UNUSED)]
    found = {name: category for name in names if (category := numbering.category(name))}
    if not found:
        raise DataError(
            f"{title} has none of the model's classes ({_some(names)}): its categories are {_some(theirs)}. Choose a model for these "
            "categories, or rename them."
        )
    notes = []
    if other := [f"{one_line(category.name)} for {one_line(name)}" for name, category in found.items() if category.name != name]:
        notes.append(f"Categories of {title} that are written otherwise than the model's classes count as these: {shortened_list(other)}.")
    if double := [
        f"{one_line(category.name)} (id {one_line(str(category.id))})" for category in found.values() if theirs.count(category.name) > 1
    ]:
        notes.append(f"Of categories of the same name in {title}, the first is used: {shortened_list(double)}.")
    return notes


def _counted(images: Sequence[object]) -> str:
    return f"{len(images)} image{'s are' if len(images) != 1 else ' is'}"


def _them(images: Sequence[object]) -> str:
    return "them" if len(images) != 1 else "it"


def _some(names: Sequence[str]) -> str:
    return shortened_list(list(map(one_line, names)), _SHOWN)
