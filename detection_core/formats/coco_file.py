"""Finds the entries in a file of COCO results or annotations: JSON or JSON lines, in any Unicode encoding, also compressed by gzip."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from detection_core.formats.coco_values import as_whole_number, fit_to_show, plain
from detection_core.formats.errors import ResultsFormatError

_MOST_BYTES = 128 * 2**20
_GZIP = b"\x1f\x8b"
# Keys under which tools wrap their list of results.
_WRAPPERS = ("annotations", "results", "predictions", "detections")


@dataclass(frozen=True)
class CocoFile:
    """The contents of a file.

    Attributes:
        part: Name of the list of entries, for messages.
        entries: The entries, unchecked.
        images: The data set's images, unchecked; empty for a list of results.
        categories: The data set's class names by category id; empty for a list of results.
        keypoint_names: The lists of keypoint names in the data set's categories.
    """

    part: str
    entries: list[Any]
    images: list[Any] = field(default_factory=list)
    categories: dict[int, str] = field(default_factory=dict)
    keypoint_names: list[list[Any]] = field(default_factory=list)

    @cached_property
    def is_annotations(self) -> bool:
        """Whether it is a file of annotations by people: a data set in which no entry has a score."""
        is_dataset = self.part == "annotations" and bool(self.images or self.categories)
        return is_dataset and not any(isinstance(entry, dict) and entry.get("score") is not None for entry in self.entries)


def read_coco_file(data: Any) -> CocoFile:
    """Finds the entries in a file's content, or in parsed JSON.

    A list may be wrapped in an object, as `annotations`, `results`, `predictions` or `detections`. An array of seven columns is read as
    `COCO.loadRes` reads it: image id, x, y, width, height, score, category id.

    Args:
        data: The content as bytes, or the parsed JSON, or the array.

    Raises:
        ResultsFormatError: If there are no entries to be found.
    """
    if isinstance(data, bytes | bytearray):
        data = _parsed(_decompressed(bytes(data)))
    if isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == 7:
        rows = data.tolist()
        return CocoFile("results", [{"image_id": row[0], "bbox": row[1:5], "score": row[5], "category_id": row[6]} for row in rows])
    data = plain(data)
    if isinstance(data, list):
        return CocoFile("results", data)
    if isinstance(data, dict):
        if part := next((name for name in _WRAPPERS if isinstance(data.get(name), list)), None):
            categories = _list_of(data, "categories")
            names = [category["keypoints"] for category in categories if isinstance(category, dict) and category.get("keypoints")]
            return CocoFile(
                part, data[part], _list_of(data, "images"), names_of(categories), [each for each in names if isinstance(each, list)]
            )
        if "bbox" in data or "segmentation" in data:
            return CocoFile("results", [data])
    raise ResultsFormatError("The file is not a COCO file: it must be a list of results, or an object with a list “annotations”.")


def names_of(categories: list[Any]) -> dict[int, str]:
    """Returns the class names of a data set's categories by their ids.

    Raises:
        ResultsFormatError: If a category has no id or no name.
    """
    names: dict[int, str] = {}
    for index, category in enumerate(categories):
        key, name = (category.get("id"), category.get("name")) if isinstance(category, dict) else (None, None)
        number = as_whole_number(key)
        if number is None or not isinstance(name, str):
            raise ResultsFormatError(f"categories[{index}] must have an integer “id” and a string “name”.")
        names[number] = fit_to_show(name) or f"class {number}"
    return names


def _list_of(data: dict[str, Any], part: str) -> list[Any]:
    found = data.get(part)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ResultsFormatError(f"“{part}” must be a list.")
    return found


def _decompressed(content: bytes) -> bytes:
    if content.startswith(_GZIP):
        try:
            decompressor = zlib.decompressobj(wbits=31)
            content = decompressor.decompress(content, _MOST_BYTES + 1)
        except zlib.error as error:
            raise ResultsFormatError("The file is compressed by gzip, but damaged. Compress it again.") from error
        if not decompressor.eof and len(content) <= _MOST_BYTES:
            raise ResultsFormatError("The file is compressed by gzip, but cut off. Copy it again.")
    if len(content) > _MOST_BYTES:
        raise ResultsFormatError(f"The file has more than {_MOST_BYTES // 2**20} MiB, which is the most that is read.")
    return content


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ResultsFormatError("The file is nested too deeply to be COCO results.") from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and (lines := _parsed_lines(content)):
            return lines
        raise ResultsFormatError(f"The file is not valid JSON: {error}.") from error


def _parsed_lines(content: bytes) -> list[Any] | None:
    """Parses JSON lines, an entry each; None if the first line is none."""
    # `splitlines` would also break at characters that may stand in texts.
    # Decoded as `json.loads` does.
    lines = content.decode(json.detect_encoding(content), "surrogatepass").split("\n")
    entries: list[Any] = []
    for number, line in enumerate(lines, start=1):
        try:
            entries += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            if not entries:
                return None
            raise ResultsFormatError(f"Line {number} of the file is not valid JSON, as each line of JSON lines must be.") from error
        if entries and not isinstance(entries[0], dict):
            return None
    return entries
