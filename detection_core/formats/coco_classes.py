"""Decides which classes the category ids of a COCO file stand for; what is unknown is not guessed, and a note says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from detection_core.detections.coco_names import COCO_CLASSES, UNUSED
from detection_core.formats.class_files import ClassList
from detection_core.formats.coco_values import shown

COCO_NAMES = {label: name for label, name in enumerate(COCO_CLASSES) if label and name != UNUSED}
# The last id of a numbering of COCO's 80 classes without gaps.
_LAST_WITHOUT_GAPS = len(COCO_NAMES)
_REMEDY = "To name the classes, add “categories” to the file or, on the command line, --classes FILE."
_SHOWN = 5


@dataclass(frozen=True)
class Classes:
    """The classes of a file.

    Attributes:
        names: Class names by id.
        ids: By category id in the file, the id that it has in `names`; where it is missing, it is the same.
        note: How the names were found, if that could be wrong, or "".
    """

    names: Mapping[int, str]
    ids: Mapping[int, int] = field(default_factory=dict)
    note: str = ""


def find_classes(
    ids: set[int], *, own: Mapping[int, str], listed: ClassList | None = None, compared: Mapping[str, Sequence[str]] | None = None
) -> Classes:
    """Finds the class names of a file's category ids.

    The first of these that is known: the file's own names; those from a list that the user gives; COCO's, if all ids are COCO's; those of a
    model compared with, if the ids fit only one way of counting its classes: by label, or without gaps from 1, or from 0 if 0 occurs; or no
    names, which are then written as "class 2".

    Ids are not COCO's if there is a 0, one above 90, or one of the ten in between that COCO leaves out. If the highest is 80, it can be
    COCO's toaster, but is more likely the last of its 80 classes without gaps, so it is not taken for either.

    Args:
        ids: All category ids in the file, also those of other images.
        own: The file's own names by id.
        listed: Names from a list that the user gives.
        compared: Categories by label of the models compared with, by the models' names.
    """
    compared = compared or {}
    if own:
        return Classes(own, note=_unnamed(ids, own, "the file's “categories”"))
    if listed is not None:
        return _of_list(ids, listed)
    problem = _why_not_coco(ids)
    if not problem:
        return Classes(COCO_NAMES, note=_if_none_is_coco(ids, compared))
    fitting = {title: found for title, categories in compared.items() if (found := _fit(ids, categories)) is not None}
    if fitting and len({tuple(found[key][1] for key in sorted(ids)) for found in fitting.values()}) == 1:
        title, found = next(iter(fitting.items()))
        names = {label: name for label, name in enumerate(compared[title]) if label and name != UNUSED}
        how = "by its labels" if all(key == label for key, (label, _) in found.items()) else f"counted from {0 if 0 in ids else 1}"
        note = f"Its category ids are not COCO's: {problem}. They are taken for the classes of {title}, {how}. {_REMEDY}"
        return Classes(names, {key: label for key, (label, _) in found.items()}, note)
    return Classes({}, note=f"Its category ids are not COCO's: {problem}. So its classes have numbers instead of names. {_REMEDY}")


def _why_not_coco(ids: set[int]) -> str:
    """Says why the ids cannot be taken for COCO's, or nothing if they can."""
    if wrong := sorted(ids - COCO_NAMES.keys()):
        kinds = {0: "COCO has no 0"} | {key: f"{shown(key)} is above 90" for key in wrong if key > max(COCO_NAMES)}
        return kinds.get(wrong[0], f"COCO leaves out {wrong[0]}")
    if ids and max(ids) == _LAST_WITHOUT_GAPS:
        return f"none is above {_LAST_WITHOUT_GAPS}, the last of its classes if they are counted without gaps"
    return ""


def _if_none_is_coco(ids: set[int], compared: Mapping[str, Sequence[str]]) -> str:
    """A note where ids are COCO's, but might be those of a model compared with that has other classes."""
    other = {title: _fit(ids, names) for title, names in compared.items()}
    agreeing = [title for title, names in compared.items() if any(list(names[key : key + 1]) == [COCO_NAMES[key]] for key in ids)]
    fitting = [title for title, found in other.items() if found is not None]
    if not ids or agreeing or not fitting:
        return ""
    return f"Its category ids are taken for COCO's; if they are those of {fitting[0]}, its classes have other names. {_REMEDY}"


def _fit(ids: set[int], categories: Sequence[str]) -> dict[int, tuple[int, str]] | None:
    """Returns the label and the name of each id, if they are the same in every way of counting the classes that the ids fit."""
    used = [(label, name) for label, name in enumerate(categories) if label and name != UNUSED]
    ways = [dict(enumerate(used))] if 0 in ids else [{label: (label, name) for label, name in used}, dict(enumerate(used, start=1))]
    fits = [{key: way[key] for key in ids} for way in ways if ids <= way.keys()]
    return fits[0] if fits and all(fit == fits[0] for fit in fits) else None


def _of_list(ids: set[int], listed: ClassList) -> Classes:
    if listed.by_id is not None:
        return Classes(listed.by_id, note=_unnamed(ids, listed.by_id, listed.source))
    from_0, from_1 = (dict(enumerate(listed.names, start=start)) for start in (0, 1))
    starts_at_1 = not ids <= from_0.keys() and ids <= from_1.keys()
    names = from_1 if starts_at_1 else from_0
    note = _unnamed(ids, names, listed.source)
    if not note and 0 not in ids and ids <= from_0.keys() & from_1.keys() and ids:
        # Ultralytics wrote ids from 0 until 2024, and writes them from 1 since.
        note = (
            f"Its category ids fit the names in {listed.source} counted from 0 and from 1; they are counted from 0. "
            "Names with ids, as in a COCO JSON, leave no doubt."
        )
    elif not note and starts_at_1:
        note = f"Its category ids fit the names in {listed.source} counted from 1, so they are counted from 1."
    return Classes(names, note=note)


def _unnamed(ids: Iterable[int], names: Mapping[int, str], source: str) -> str:
    missing = sorted(set(ids) - names.keys())
    if not missing:
        return ""
    shown_ids = ", ".join(map(str, missing[:_SHOWN])) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
    return f"There is no name in {source} for category {shown_ids}, so such classes have numbers instead of names."
