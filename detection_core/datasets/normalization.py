"""Turns what exporters write instead of COCO's format into it: ids and numbers as texts, odd flags, needless classes, broken polygons."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from detection_core.file_names import on_one_line

Entry = dict[str, Any]

_WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,40}(\.0*)?\s*", re.ASCII)
_TRUE, _FALSE = {"1", "1.0", "true", "yes"}, {"", "0", "0.0", "false", "no", "nan", "none", "null"}
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_BACKGROUND = {"background", "bg"}
# Unused ids in COCO's own list of classes have this name.
_UNUSED = "n/a"
# Control characters, halves of pairs, and separators of lines. Joiners are none: names in some scripts need them.
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
_SHOWN = 5


def as_whole_number(value: Any) -> Any:
    """A whole number that is written as 5.0 or "5" as 5; anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value.partition(".")[0])
    return value


def plain_annotation(annotation: Entry) -> tuple[Entry, int]:
    """An annotation with a usable crowd flag, run lengths and polygons.

    Returns:
        The annotation, and how many slivers of polygons were dropped: rings of fewer than three points beside a good one.
    """
    changes: Entry = {}
    crowd = annotation.get("iscrowd", 0)
    if type(crowd) is not int and (flag := _flag(crowd)) is not None:
        changes["iscrowd"] = flag
    slivers = 0
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        lists = {key: value for key in ("size", "counts") if isinstance(value := segmentation.get(key), list)}
        if any(type(number) is not int for numbers in lists.values() for number in numbers):
            changes["segmentation"] = {**segmentation, **{key: list(map(as_whole_number, numbers)) for key, numbers in lists.items()}}
    elif isinstance(segmentation, list) and len(segmentation) > 1:
        rings = [ring for ring in segmentation if not (isinstance(ring, list) and len(ring) < 6)]
        if rings and len(rings) < len(segmentation):
            slivers = len(segmentation) - len(rings)
            changes["segmentation"] = rings
    return ({**annotation, **changes} if changes else annotation), slivers


def _flag(value: Any) -> int | None:
    """1 or 0 for what means yes or no; None where that cannot be known."""
    if isinstance(value, float) and math.isnan(value):  # What pandas writes for what is not there.
        return 0
    text = str(value).strip().lower()
    return 1 if text in _TRUE else 0 if text in _FALSE else None


def numbered(annotations: list[Any]) -> tuple[list[Any], str]:
    """Annotations with ids of their own, where exporters have written none, texts, or the same ones again and again.

    Ids of annotations only distinguish them. Where most are usable, the others are faults to be listed.

    Returns:
        The annotations, and a note on what was done, or "".
    """
    ids = [as_whole_number(a.get("id")) if isinstance(a, dict) else None for a in annotations]
    usable = Counter(i for i in ids if isinstance(i, int) and not isinstance(i, bool))
    alone = sum(number == 1 for number in usable.values())
    if not annotations or 2 * alone >= len(annotations):
        return annotations, ""
    how = "have no ids that are whole numbers" if not usable else "share their ids with others"
    again = [{**entry, "id": number} if isinstance(entry, dict) else entry for number, entry in enumerate(annotations, 1)]
    return again, f"Most annotations {how}, so all are numbered in the order of the file."


def text_ids(entries: Iterable[Any], field: str) -> str | None:
    """One of the ids, if most of them are texts that are no numbers; None otherwise."""
    values = [as_whole_number(entry.get(field)) for entry in entries if isinstance(entry, dict)]
    texts = [value for value in values if isinstance(value, str)]
    return texts[0] if texts and 2 * len(texts) > len(values) else None


class Classes(NamedTuple):
    """What is left of a file's categories.

    Attributes:
        categories: Those that are classes.
        groups: Those that only group others and are left out.
        replaced: By category id, the id that takes its place, or None where its annotations are dropped.
        notes: What was done, for people.
        problem: Why the categories cannot be used, or "".
    """

    categories: list[Entry]
    groups: list[Entry]
    replaced: dict[int, int | None]
    notes: list[str]
    problem: str = ""


def classes_of(categories: list[Entry], used: Mapping[int, int]) -> Classes:
    """Sorts out categories that are no classes, and merges those of one name.

    Args:
        categories: Entries with an id and a name.
        used: How many annotations have each category id.
    """
    kept = [{**category, "name": category["name"].strip()} for category in categories]
    notes: list[str] = []
    replaced: dict[int, int | None] = {}

    def leave_out(left: list[Entry], why: str) -> None:
        nonlocal kept
        if left:
            kept = [category for category in kept if not any(category is each for each in left)]
            names = _listed([category["name"] for category in left], [category["id"] for category in left])
            notes.append(f"Left out of the classes: {names}. {why}")

    nameless = [category for category in kept if not used.get(category["id"]) and name_problem(category["name"])]
    leave_out(nameless, "Nobody annotates them, and they have no names.")
    background = [category for category in kept if _NOT_LETTERS.sub("", category["name"].casefold()) in _BACKGROUND]
    lost = sum(used.get(category["id"], 0) for category in background)
    replaced |= {category["id"]: None for category in background if used.get(category["id"])}
    dropped = f" {lost} annotation{'s' * (lost != 1)} of it {'are' if lost != 1 else 'is'} dropped." if lost else ""
    leave_out(background, f"A detector knows the background without a class.{dropped}")
    groups = [category for category in kept if not used.get(category["id"]) and _groups_others(category, kept)]
    if len(groups) < len(kept):
        leave_out(groups, "Nobody annotates them; they only group other classes.")
    for category in kept:
        if problem := name_problem(category["name"]):
            return Classes(kept, groups, replaced, notes, f"the category {category['id']} {problem}. Give it a name of letters")
    first: dict[str, Entry] = {}
    for category in kept:
        if (same := first.setdefault(category["name"], category)) is not category:
            if same["id"] != category["id"]:
                replaced[category["id"]] = same["id"]
            same.update({key: value for key, value in category.items() if not same.get(key)})
            notes.append(f"Several categories are called “{category['name']}” and count as one class.")
    return Classes(list(first.values()), groups, replaced, list(dict.fromkeys(notes)))


def _groups_others(category: Entry, others: list[Entry]) -> bool:
    return any(other is not category and other.get("supercategory") == category["name"] for other in others)


def name_problem(name: str) -> str:
    """Why something cannot have this name, or ""."""
    if not name.strip():
        return "has an empty name"
    if name.strip().casefold() == _UNUSED:
        return f"is called “{name}”, which stands for an id that is not used"
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        return f"has a name with a line break or another character that cannot be shown ({name!a})"
    return ""


def keypoint_names(names: list[str]) -> tuple[list[str], str]:
    """Names of keypoints that are there and differ, and a note on those that were not, or ""."""
    given: list[str] = []
    for number, name in enumerate(names, 1):
        wanted = name.strip() or f"keypoint {number}"
        given.append(wanted if wanted not in given else f"{wanted} {number}")
    changed = [new for old, new in zip(names, given, strict=True) if old.strip() != new]
    return given, f"Keypoints without a name of their own are called {_listed(changed)}." if changed else ""


def one_line(name: str) -> str:
    """A name from a file as a message can show it: whole, on one line, unless it is longer than any file's."""
    shown = on_one_line(name)
    return shown if len(shown) <= 400 else f"{shown[:80]}… ({len(name)} characters)"


def is_missing(size: Any) -> bool:
    """Whether a width or height says nothing: it is absent, no number, or not above 0."""
    return not isinstance(size, int | float) or isinstance(size, bool) or not 0 < size < math.inf


def _listed(names: list[str], ids: Iterable[int] = ()) -> str:
    marks = [f" (id {number})" for number in ids] or [""] * len(names)
    shown = ", ".join(f"“{one_line(name)}”{mark}" for name, mark in zip(names[:_SHOWN], marks, strict=False))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
