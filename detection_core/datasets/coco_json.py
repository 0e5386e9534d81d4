"""Reads a JSON file in COCO's format as lists of usable entries, and records the unusable ones."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from detection_core.datasets.file_names import FoundImage, ImageFinder
from detection_core.datasets.normalization import (
    as_whole_number,
    classes_of,
    is_missing,
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

Entry = dict[str, Any]


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


def read_entries(file: Path) -> Entries:
    """Reads images, annotations and categories. Values that are null are left out; whole numbers written as 5.0 or "5" become 5.

    Other peculiarities of exporters are read as they are meant, too, with a note: see `normalization` and `file_names`.

    Args:
        file: The JSON file.

    Returns:
        Images and annotations in the file's order, categories in the order of their ids, and the images and annotations that are unusable.
        Without `categories` each category id that occurs is a class "class ID".

    Raises:
        DataError: If the file is missing or is not a COCO annotation file, or its categories or ids cannot be used.
    """
    data = _json_object(file)
    raw_images, raw_annotations = _listed_entries(file, data, "images"), _listed_entries(file, data, "annotations")
    if not raw_images:
        raise DataError(f'{file}: "images" is empty. Training needs at least one image.')
    _reject_text_ids(file, {"images": raw_images, "annotations": raw_annotations})
    raw_annotations, note = numbered(raw_annotations)
    notes = [note] if note else []
    located = _located([_without_nulls(raw, _IMAGE) for raw in raw_images], ImageFinder(file.parent), notes)
    images, unusable_images = _sorted_out(located, "images", _IMAGE)
    annotations, unusable_annotations = _sorted_out(raw_annotations, "annotations", _ANNOTATION)
    lost = {entry["id"] for entry in raw_images if isinstance(entry, dict) and isinstance(entry.get("id"), str)}
    unusable_annotations = [replace(entry, is_covered=_image_id(raw_annotations[entry.position]) in lost) for entry in unusable_annotations]
    annotations = _plain_annotations(annotations, notes)
    images, annotations = _each_file_once(images, annotations, notes)
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


def _located(entries: list[Any], finder: ImageFinder, notes: list[str]) -> list[Any]:
    """Images with the places of their files, and with the size of the file where they have none."""
    found = [
        finder.find(entry["file_name"]) if isinstance(entry, dict) and isinstance(entry.get("file_name"), str) else None
        for entry in entries
    ]
    names = defaultdict(set)
    for entry, image in zip(entries, found, strict=True):
        if image is not None and image.shortened:
            names[image.path].add(entry["file_name"])
    located, sizes = [], 0
    for entry, image in zip(entries, found, strict=True):
        if image is None:
            located.append(entry)
            continue
        # Names of different folders that end alike are of different images.
        if image.shortened and len(names[image.path]) > 1:
            image = FoundImage(finder.place_of(entry["file_name"]), several=(image.path.name,))
        place = {"path": image.path, "several": image.several}
        no_size = is_missing(entry.get("width")) or is_missing(entry.get("height"))
        if no_size and (size := stored_size(image.path)):
            sizes += 1
            place |= {"width": size[0], "height": size[1]}
        located.append({**entry, **place})
    guesses = [(entry["file_name"], image.path) for entry, image in zip(entries, found, strict=True) if image and image.is_guess]
    guesses = [guess for guess in guesses if len(names[guess[1]]) < 2]
    if guesses:
        name, path = guesses[0]
        count = f"{len(guesses)} image{'s are' if len(guesses) != 1 else ' is'}"
        shown = path.relative_to(finder.folder).as_posix()
        notes.append(f"{count} found by a part of the name or another way to write it, such as {shown} for “{one_line(name)}”.")
    if sizes:
        notes.append(f"The size of {sizes} image{'s' * (sizes != 1)} is read from the file, as the annotations do not tell it.")
    return located


def stored_size(path: Path) -> tuple[int, int] | None:
    """Returns the (width, height) of a file's stored pixels, or None if it cannot be read: that is found when images are checked."""
    try:
        with Image.open(path) as opened:
            return opened.size
    except Exception:  # Pillow's readers raise nearly everything on broken files.
        return None


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


def _each_file_once(images: list[Entry], annotations: list[Entry], notes: list[str]) -> tuple[list[Entry], list[Entry]]:
    """Images and annotations, where what is drawn on several entries of one file is put together: the others' objects are no background."""
    firsts: dict[Path, Entry] = {}
    replaced: dict[int, int] = {}
    once = []
    ids = Counter(image["id"] for image in images)
    for image in images:
        first = firsts.setdefault(image["path"], image)
        same = first is not image and image["path"].is_file()
        if not same or (ids[image["id"]] > 1 and image["id"] != first["id"]):
            once.append(image)
        elif image["id"] != first["id"]:
            replaced[image["id"]] = first["id"]
    if len(once) == len(images):
        return images, annotations
    merged, seen = [], set()
    for annotation in annotations:
        image_id = replaced.get(annotation["image_id"], annotation["image_id"])
        drawn = (image_id, annotation["category_id"], str(annotation.get("bbox")), str(annotation.get("segmentation")))
        if image_id in replaced.values() and drawn in seen:
            continue
        seen.add(drawn)
        merged.append({**annotation, "image_id": image_id})
    double = f", but for {len(annotations) - len(merged)} that are there twice" if len(merged) < len(annotations) else ""
    again = len(images) - len(once)
    notes.append(
        f"{again} image{'s are' if again != 1 else ' is'} listed again under another id; their annotations are put together{double}."
    )
    return once, merged


def listed(values: Iterable[Any]) -> str:
    """Formats values for messages: "a", "b", 3."""
    return ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)


def _json_object(file: Path) -> Entry:
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise DataError(f"There is no {file}. Give a folder with annotations.json and images/, or a .json file in COCO's format.") from None
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}). Check that it is a file and that you may read it.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not valid JSON ({error}). Export the annotations again, in COCO's format.") from None
    if not isinstance(data, dict):
        raise DataError(f'{file} is JSON but not in COCO\'s format: it must be an object with "images" and "annotations".')
    return data


def _listed_entries(file: Path, data: Entry, key: str) -> list[Any]:
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
    wrong = {name: kind for name, kind in fields.items() if type(entry.get(name)) is not kind}
    needs = (f'"{name}", {_KIND_NAMES[kind]} (it has {repr(entry.get(name))[:60]})' for name, kind in wrong.items())
    return f"it needs {' and '.join(needs)}" if wrong else None


def _categories(file: Path, data: Entry, annotations: list[Entry], notes: list[str]) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The categories that are classes, those that group them, and the annotations with the ids of the classes."""
    used = Counter(annotation["category_id"] for annotation in annotations)
    if not data.get("categories"):
        return [{"id": number, "name": f"class {number}"} for number in sorted(used)], [], annotations
    categories = [_without_nulls(category, _CATEGORY) for category in _listed_entries(file, data, "categories")]
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
