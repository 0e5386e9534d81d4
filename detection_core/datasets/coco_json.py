"""Reads a JSON file in COCO's format as lists of usable entries, and records the unusable ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from detection_core.datasets.image_files import each_file_once, located
from detection_core.datasets.image_finder import ImageFinder
from detection_core.datasets.normalization import (
    Entry,
    as_whole_number,
    classes_of,
    keypoint_names,
    name_problem,
    numbered,
    one_line,
    plain_annotation,
    text_ids,
)
from detection_core.errors import UserError

_Kind = type[int] | type[str]
_KIND_NAMES: dict[_Kind, str] = {int: "a whole number", str: "a text"}
_IMAGE: dict[str, _Kind] = {"id": int, "file_name": str, "width": int, "height": int}
_ANNOTATION: dict[str, _Kind] = {"id": int, "image_id": int, "category_id": int}
_CATEGORY: dict[str, _Kind] = {"id": int, "name": str}
_SIDES = {"width", "height"}
# What pycocotools can compute with, and what a message can show: JSON allows thousands of digits.
_LARGEST_SIDE, _LARGEST_ID = 2**31, 10**40


class DataError(UserError, ValueError):
    """A data set cannot be used as it is; the message tells the user the problem and its remedy."""


@dataclass(frozen=True)
class Malformed:
    """An unusable entry of the file.

    Attributes:
        part: The list that contains it.
        position: Its index in that list, from 0.
        image_id: COCO's image id, its own or that of its image; None if the entry has none.
        problem: The problem.
        is_covered: Whether its image's fault already reports it: an annotation of an image whose id is a text.
        place: Where it is, such as "labels/1.txt, line 3", if annotations are not in one file.
    """

    part: Literal["images", "annotations"]
    position: int
    image_id: int | None
    problem: str
    is_covered: bool = False
    place: str = ""


class Entries(NamedTuple):
    """What a file holds.

    Attributes:
        images: In the file's order; the place of each is under "path", and under "several" which files its name fits equally well.
        annotations: In the file's order.
        categories: In the order of their ids.
        malformed: Images and annotations that are unusable.
        groups: Categories that are no classes as they only group others.
        notes: What was read otherwise than it is written, one line each.
    """

    images: list[Entry]
    annotations: list[Entry]
    categories: list[Entry]
    malformed: tuple[Malformed, ...] = ()
    groups: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def read_entries(file: Path, places: Sequence[Path] = ()) -> Entries:
    """Reads images, annotations and categories. Values that are null are left out; whole numbers written as 5.0 or "5" become 5.

    Other peculiarities of exporters are read as they are meant, too, with a note: see `normalization` and `image_finder`.

    Args:
        file: The JSON file.
        places: Where images are besides `images/` and the file's own folder: see `coco_layout.image_folders`.

    Returns:
        Images and annotations in the file's order, categories in the order of their ids, and the images and annotations that are unusable.
        Without `categories` each category id that occurs is a class "class ID".

    Raises:
        DataError: If the file is missing or is not a COCO annotation file, or its categories or ids cannot be used.
    """
    data = json_object(file)
    raw_images, raw_annotations = listed_entries(file, data, "images"), listed_entries(file, data, "annotations")
    if not raw_images:
        raise DataError(f'{file}: "images" is empty. Training needs at least one image.')
    _reject_text_ids(file, {"images": raw_images, "annotations": raw_annotations})
    raw_annotations, note = numbered(raw_annotations)
    notes = [note] if note else []
    found = located([_without_nulls(raw, _IMAGE) for raw in raw_images], ImageFinder(file.parent, places), notes)
    images, unusable_images = _sorted_out(found, "images", _IMAGE)
    annotations, unusable_annotations = _sorted_out(raw_annotations, "annotations", _ANNOTATION)
    lost = {entry["id"] for entry in raw_images if isinstance(entry, dict) and isinstance(entry.get("id"), str)}
    unusable_annotations = [replace(entry, is_covered=_image_id(raw_annotations[entry.position]) in lost) for entry in unusable_annotations]
    annotations = _plain_annotations(annotations, notes)
    images, annotations = each_file_once(images, annotations, notes)
    categories, groups, annotations = _categories(file, data, annotations, notes)
    return Entries(images, annotations, categories, (*unusable_images, *unusable_annotations), tuple(groups), tuple(notes))


def _image_id(annotation: Any) -> str | None:
    """The text that an annotation has as its image's id."""
    value = annotation.get("image_id") if isinstance(annotation, dict) else None
    return value if isinstance(value, str) else None


def _reject_text_ids(file: Path, lists: dict[str, list[Any]]) -> None:
    """Refuses ids that are texts at once: each entry would be faulty for the same cause."""
    for part, field in (("images", "id"), ("annotations", "image_id"), ("annotations", "category_id")):
        if (text := text_ids(lists[part], field)) is not None:
            raise DataError(
                f'{file}: the "{field}" of "{part}" is a text, such as "{one_line(text)}", not a whole number. Give images and categories '
                "whole numbers as ids, or export with such, and use these in the annotations."
            )


def _plain_annotations(annotations: list[Entry], notes: list[str]) -> list[Entry]:
    plain, slivers = [], 0
    for annotation in annotations:
        entry, dropped = plain_annotation(annotation)
        plain.append(entry)
        slivers += dropped
    if slivers:
        left = "polygon has" if slivers == 1 else "polygons have"
        notes.append(f"{slivers} {left} fewer than three points and lie beside larger ones of the same object; without them.")
    return plain


def listed(values: Iterable[Any]) -> str:
    """Formats values for messages: "a", "b", 3."""
    return ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)


def json_object(file: Path, name: object = None) -> Entry:
    """Reads a file that holds one JSON object.

    Args:
        file: The file.
        name: What messages call it; None is its path.

    Raises:
        DataError: If there is none, or it holds something else.
    """
    name = name or file
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise DataError(f"There is no {name}. Give a folder with annotations.json and images/, or a .json file in COCO's format.") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}). Check that it is a file and that you may read it.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not valid JSON ({error}). Export the annotations again, in COCO's format.") from None
    if not isinstance(data, dict):
        raise DataError(f'{name} is JSON but not in COCO\'s format: it must be an object with "images" and "annotations".')
    return data


def listed_entries(file: object, data: Entry, key: str) -> list[Any]:
    """Returns the entries of one of the lists in a COCO file, which some exporters write as an object.

    Raises:
        DataError: If the file, which messages call `file`, has no such list.
    """
    entries = data.get(key)
    if isinstance(entries, dict) and entries and all(isinstance(entry, dict) for entry in entries.values()):
        entries = list(entries.values())
    if not isinstance(entries, list):
        raise DataError(f'{file} has no list "{key}", so it is not in COCO\'s format. Export the annotations again as COCO JSON.')
    return entries


def _sorted_out(
    entries: list[Any], part: Literal["images", "annotations"], fields: dict[str, _Kind]
) -> tuple[list[Entry], list[Malformed]]:
    usable, malformed = [], []
    for position, raw in enumerate(entries):
        entry = _without_nulls(raw, fields)
        if problem := _problem(entry, fields):
            image_id = entry.get("id" if part == "images" else "image_id") if isinstance(entry, dict) else None
            malformed.append(Malformed(part, position, image_id if isinstance(image_id, int) else None, problem))
        else:
            usable.append(entry)
    return usable, malformed


def _without_nulls(entry: Any, fields: dict[str, _Kind]) -> Any:
    if not isinstance(entry, dict):
        return entry
    # Exporters write null for missing values, and some languages have no integers.
    plain = {name: value for name, value in entry.items() if value is not None}
    whole = {name: as_whole_number(plain[name]) for name, kind in fields.items() if kind is int and name in plain}
    return {**plain, **whole}


def _problem(entry: Any, fields: dict[str, _Kind]) -> str | None:
    if not isinstance(entry, dict):
        return "it is not an object"
    wrong = {name: kind for name, kind in fields.items() if not _is_usable(name, entry.get(name), kind)}
    needs = (f'"{name}", {_KIND_NAMES[kind]} (it has {repr(entry.get(name))[:60]})' for name, kind in wrong.items())
    return f"it needs {' and '.join(needs)}" if wrong else None


def _is_usable(name: str, value: Any, kind: _Kind) -> bool:
    return type(value) is kind and not (isinstance(value, int) and abs(value) >= (_LARGEST_SIDE if name in _SIDES else _LARGEST_ID))


def _categories(file: Path, data: Entry, annotations: list[Entry], notes: list[str]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The categories that are classes, those that group them, and the annotations with the ids of the classes."""
    used = Counter(annotation["category_id"] for annotation in annotations)
    if not data.get("categories"):
        return [{"id": number, "name": f"class {number}"} for number in sorted(used)], [], annotations
    categories = [_without_nulls(category, _CATEGORY) for category in listed_entries(file, data, "categories")]
    if (text := text_ids(categories, "id")) is not None:
        raise DataError(f'{file}: the "id" of "categories" is a text, such as "{one_line(text)}". Give categories whole numbers as ids.')
    for position, category in enumerate(categories):
        if isinstance(category, dict) and type(category.get("name")) is int:
            category["name"] = str(category["name"])
        if problem := _problem(category, _CATEGORY):
            raise DataError(f'{file}: entry {position} of "categories": {problem}. Add it, or export the annotations again as COCO JSON.')
    categories.sort(key=lambda category: int(category["id"]))
    classes = classes_of(categories, used)
    notes += classes.notes
    if classes.problem:
        raise DataError(f"{file}: {classes.problem}, or remove it.")
    if not classes.categories:
        raise DataError(f'{file}: no category is a class that can be learned. {" ".join(classes.notes)} Name the classes in "categories".')
    ids = Counter(category["id"] for category in classes.categories)
    if repeated := [number for number, count in ids.items() if count > 1]:
        raise DataError(f"{file}: several categories have the id {listed(repeated)}. Give each its own, or remove the unused one.")
    for category in classes.categories:
        if category.get("keypoints"):
            category["keypoints"], note = _keypoint_names(file, category)
            notes += [note] if note else []
    if classes.replaced:
        renamed = ({**a, "category_id": classes.replaced.get(a["category_id"], a["category_id"])} for a in annotations)
        annotations = [annotation for annotation in renamed if annotation["category_id"] is not None]
    return classes.categories, classes.groups, annotations


def _keypoint_names(file: Path, category: Entry) -> tuple[list[str], str]:
    names = category["keypoints"]
    if not isinstance(names, list) or not all(isinstance(name, str | int | None) for name in names):
        raise DataError(f'{file}: "keypoints" of the category "{category["name"]}" must be a list of the keypoints\' names.')
    given, note = keypoint_names(["" if name is None else str(name) for name in names])
    if problem := next(filter(None, map(name_problem, given)), ""):
        raise DataError(f'{file}: a keypoint of the category "{category["name"]}" {problem}. Give it a name of letters.')
    return given, note
