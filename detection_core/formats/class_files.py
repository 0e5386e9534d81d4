"""Reads class names from a file: a text with a name in each line, YOLO's `data.yaml`, or a COCO JSON with categories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detection_core.detections.coco_names import BACKGROUND
from detection_core.formats.coco_file import names_of
from detection_core.formats.coco_values import as_whole_number, fit_to_show
from detection_core.formats.errors import ResultsFormatError

_MOST_BYTES = 64 * 2**20
# YAML allows a few lines to stand for gigabytes.
_MOST_YAML_BYTES = 2**20


@dataclass(frozen=True)
class ClassList:
    """Class names from a file.

    Attributes:
        names: The names in order, whose ids may begin at 0 or 1.
        by_id: The names by id where the file gives ids that are not just 0, 1, 2 …, or else None.
        source: Name of the file, for messages.
    """

    names: tuple[str, ...]
    by_id: Mapping[int, str] | None
    source: str


def read_class_names(path: Path) -> ClassList:
    """Reads class names from a file.

    Args:
        path: A `.json` file with `categories` or a list of names, a `.yaml` or `.yml` file with `names`, or a text, one name a line.

    Raises:
        ResultsFormatError: If the file cannot be read or has no names.
    """
    source, suffix = f"“{path.name}”", path.suffix.lower()
    most = _MOST_YAML_BYTES if suffix in {".yaml", ".yml"} else _MOST_BYTES
    try:
        content = path.read_bytes()
        if len(content) > most:
            raise ResultsFormatError(f"{source} is larger than {most >> 20} MiB, so it is no file of class names.")
        if suffix == ".json":
            return _from_json(json.loads(content), source)
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if suffix in {".yaml", ".yml"}:
            data = yaml.safe_load(text)
            return _from_names(data.get("names") if isinstance(data, dict) else None, source, "“names”, as YOLO's data.yaml has them")
        return _from_names(text.rstrip().splitlines(), source, "a name in each line")
    except OSError as error:
        raise ResultsFormatError(f"{source} cannot be read: {error.strerror}.") from error
    except ResultsFormatError:
        raise
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        kind = {".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}.get(suffix, "text in UTF-8")
        raise ResultsFormatError(f"{source} is not valid {kind}, so no class names can be read from it.") from error


def _from_json(data: Any, source: str) -> ClassList:
    categories = data.get("categories") if isinstance(data, dict) else data
    if isinstance(categories, list) and categories and all(isinstance(category, dict) for category in categories):
        return ClassList((), names_of(categories), source)
    return _from_names(categories, source, "“categories” with “id” and “name”, as COCO's files have them")


def _from_names(names: Any, source: str, expected: str) -> ClassList:
    """Names from a list, or from an object of names by id."""
    if isinstance(names, dict):
        numbers = {as_whole_number(key): str(name) for key, name in names.items()}
        if None not in numbers:
            by_id = {number: _shown_name(name, number) for number, name in sorted(numbers.items()) if number is not None}
            if by_id and list(by_id) != list(range(len(by_id))):
                return ClassList((), by_id, source)
            names = list(by_id.values())
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int | float) for name in names):
        raise ResultsFormatError(f"{source} has no class names: it must have {expected}.")
    found = tuple(_shown_name(str(name), number) for number, name in enumerate(names))
    if found[0].lower().strip("_") == "background" or found[0] == BACKGROUND:
        return ClassList((), dict(enumerate(found)), source)
    return ClassList(found, None, source)


def _shown_name(name: str, number: int) -> str:
    return fit_to_show(name) or f"class {number}"
