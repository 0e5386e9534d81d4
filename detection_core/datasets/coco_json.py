"""Reads a JSON file in COCO's format as lists of usable entries, and records the unusable ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
    """

    part: Literal["images", "annotations"]
    position: int
    image_id: int | None
    problem: str


def read_entries(file: Path) -> tuple[list[Entry], list[Entry], list[Entry], tuple[Malformed, ...]]:
    """Reads images, annotations and categories. Null values are dropped; whole numbers written as 5.0 become 5.

    Args:
        file: The JSON file.

    Returns:
        Images and annotations in the file's order, categories in the order of their ids, and the images and annotations that are unusable.
        Without `categories` each category id that occurs is a class "class ID".

    Raises:
        DataError: If the file is missing or is not a COCO annotation file, or its categories are ambiguous.
    """
    data = _json_object(file)
    images, unusable_images = _sorted_out(_listed_entries(file, data, "images"), "images", _IMAGE)
    annotations, unusable_annotations = _sorted_out(_listed_entries(file, data, "annotations"), "annotations", _ANNOTATION)
    if not data["images"]:
        raise DataError(f'{file}: "images" is empty. Training needs at least one image.')
    return images, annotations, _categories(file, data, annotations), (*unusable_images, *unusable_annotations)


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
    whole = {name: int(plain[name]) for name, kind in fields.items() if kind is int and _is_whole(plain.get(name))}
    return {**plain, **whole}


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _problem(entry: Any, fields: dict[str, _Kind]) -> str | None:
    if not isinstance(entry, dict):
        return "it is not an object"
    wrong = {name: kind for name, kind in fields.items() if not isinstance(entry.get(name), kind)}
    needs = (f'"{name}", {_KIND_NAMES[kind]} (it has {repr(entry.get(name))[:60]})' for name, kind in wrong.items())
    return f"it needs {' and '.join(needs)}" if wrong else None


def _categories(file: Path, data: Entry, annotations: list[Entry]) -> list[Entry]:
    if not data.get("categories"):
        return [{"id": number, "name": f"class {number}"} for number in sorted({a["category_id"] for a in annotations})]
    categories = [_without_nulls(category, _CATEGORY) for category in _listed_entries(file, data, "categories")]
    for position, category in enumerate(categories):
        if problem := _problem(category, _CATEGORY):
            raise DataError(f'{file}: entry {position} of "categories": {problem}. Add it, or export the annotations again as COCO JSON.')
    categories.sort(key=lambda category: int(category["id"]))
    for key in ("id", "name"):
        values = [category[key] for category in categories]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise DataError(f"{file}: several categories have the {key} {listed(repeated)}. Give each its own, or remove the unused one.")
    for category in categories:
        names = category.get("keypoints", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f'{file}: "keypoints" of the category "{category["name"]}" must be a list of the keypoints\' names.')
    return categories
