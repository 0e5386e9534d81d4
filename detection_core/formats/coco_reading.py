"""Reads results of other tools from COCO's formats as detections for comparison; nothing in the file is trusted."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.coco_names import BACKGROUND, UNUSED
from detection_core.formats.class_files import ClassList
from detection_core.formats.coco_arrays import keypoint_names, keypoints_of, masks_of, with_same_keypoints
from detection_core.formats.coco_classes import Classes, find_classes
from detection_core.formats.coco_entry import Entry, class_of, four_numbers, is_crowd, read_entry
from detection_core.formats.coco_file import CocoFile, read_coco_file
from detection_core.formats.coco_images import ImageEntries, entries_by_image, find_image
from detection_core.formats.coco_values import as_number
from detection_core.formats.errors import InvalidEntryError, ResultsFormatError

# Detectors return 100 to 300 objects. Two results are compared by a matrix of all pairs, so memory grows with the square.
MOST_ENTRIES = 2_000
# Category ids up to this one are used as labels, so that colors are the same as for other models with these ids.
_LARGEST_LABEL = 1000

ImageId = int | str


@dataclass(frozen=True, eq=False)
class ImportedResults:
    """Results of another tool.

    Attributes:
        detections: The detections.
        notes: Sentences about what was not read as it is written, or was left out.
        skipped: Number of invalid entries that were skipped.
    """

    detections: Detections
    notes: tuple[str, ...] = ()
    skipped: int = 0


def read_coco_results(
    data: bytes | Sequence[Any] | Mapping[str, Any] | NDArray[Any],
    image_size: tuple[int, int],
    *,
    image_id: ImageId | None = None,
    categories: Mapping[int, str] | None = None,
    model: str = "",
    file_name: str = "",
    skip_invalid: bool = False,
) -> Detections:
    """Reads another tool's detections for one image from a COCO results list or a COCO data set.

    The same as `import_coco_results`, except that its notes are issued as Python warnings.

    Args:
        data: The file's content, or the parsed JSON; its numbers may be NumPy's, and its run lengths bytes.
        image_size: (height, width) of the image.
        image_id: Id of the image; required if the file covers several.
        categories: Class names by category id; None uses the data set's, or else COCO's.
        model: Name of the result.
        file_name: Name of the image's file, by which it is found if the file covers several images.
        skip_invalid: Whether invalid entries are skipped and counted, instead of an error for the first of them.

    Raises:
        ResultsFormatError: If the file cannot be read or belongs to another image; the message names the entry, counted from 0.
    """
    imported = import_coco_results(
        data, image_size, image_id=image_id, categories=categories, model=model, file_name=file_name, skip_invalid=skip_invalid
    )
    for note in imported.notes:
        warnings.warn(note, stacklevel=2)
    return imported.detections


def import_coco_results(
    data: bytes | Sequence[Any] | Mapping[str, Any] | NDArray[Any],
    image_size: tuple[int, int],
    *,
    image_id: ImageId | None = None,
    categories: Mapping[int, str] | None = None,
    model: str = "",
    file_name: str = "",
    skip_invalid: bool = False,
    class_list: ClassList | None = None,
    compared: Mapping[str, Sequence[str]] | None = None,
) -> ImportedResults:
    """Reads another tool's detections for one image, with notes on how.

    Boxes and keypoints are read as float32; boxes are clipped to the image. Masks (compressed or plain run lengths, polygons)
    become soft masks of 56×56, or of 28×28 for more than 1000 objects: see `mask_fit.grid_of_runs` for their accuracy. An object
    without a box gets the one around its mask or keypoints. If other objects have masks, an object without one gets an empty mask; if
    others have keypoints, an object without any gets NaN, as described at `Detections`. The logits of keypoints come from
    `keypoint_scores`, which this project's export adds, or else from the third number of each keypoint as a probability: 0 becomes
    −10, 0.5 becomes 0, and 1 or more becomes 10. Crowds are no objects and are left out.

    An entry without a score is invalid, because nothing says how certain it is. Only in a data set (`annotations` with `images` or
    `categories`) in which no entry has a score, all are annotations by people: they get a score of 1, and a note says so.

    Args:
        data: The file's content (JSON or JSON lines, also compressed by gzip), or the parsed JSON; its numbers may be NumPy's, and its run
            lengths bytes. An array of seven columns is read as `COCO.loadRes` does.
        image_size: (height, width) of the image.
        image_id: Id of the image or its name in the file; required if the file covers several images and none has the `file_name`. Zeros
            in front do not matter. Ultralytics writes the file's stem if it is not a number.
        categories: Class names by category id; None uses those that `coco_classes.find_classes` finds. Ids without a name become
            "class ID". Names in the file are shortened to 100 characters, and unprintable characters become spaces.
        model: Name of the result.
        file_name: Name of the image's file.
        skip_invalid: Whether invalid entries are skipped and counted, instead of an error for the first of them.
        class_list: Class names for files that do not name their classes.
        compared: Categories by label of the models compared with, by the models' names.

    Raises:
        SeveralImagesError: If the file covers several images, and which of them is meant is not clear.
        InvalidEntryError: If an entry is invalid, and `skip_invalid` is not set; the message names it by its index, counted from 0.
        ResultsFormatError: If the file cannot be read or belongs to another image.
    """
    file = read_coco_file(data)
    images, errors = entries_by_image(file)
    if errors and not skip_invalid:
        raise errors[0]
    image, note = find_image(images, image_id, file_name)
    _check_size(image, image_size)
    objects = [(index, entry) for index, entry in image.entries if not is_crowd(entry)]
    if len(objects) > MOST_ENTRIES:
        raise ResultsFormatError(f"There are {len(objects):,} entries for this image; at most {MOST_ENTRIES:,} are read.")
    if skip_invalid:
        _refuse_percentages(objects)
    notes = [note]
    if crowds := len(image.entries) - len(objects):
        notes.append(f"{_count(crowds, 'crowd')} (“iscrowd”) left out, because a crowd is not a single object.")
    found = _read_entries(file, objects, image_size, errors, skip_invalid=skip_invalid)
    if errors:
        total = len(found) + len(errors)
        notes.append(f"{len(errors)} of {total} entries {'is' if len(errors) == 1 else 'are'} invalid and skipped; the first: {errors[0]}")
    if found and file.is_annotations:
        notes.append("No entry has a score, so all are taken for annotations by people, with a score of 1.")
    if flat := sum(entry.is_flat for entry in found):
        notes.append(f"{_count(flat, 'object')} shown without a mask, because it has fewer than three points.")
    notes.append(_doubt_about_boxes(objects, image_size))
    classes, category_ids = _classes(file, found, categories, class_list, compared)
    notes.append(classes.note if found else "")
    names, labels = _labeled(category_ids, classes.names)
    keypoints = keypoints_of(found)
    detections = Detections(
        boxes=np.array([entry.box for entry in found], np.float32).reshape(-1, 4),
        labels=labels,
        scores=np.array([entry.score for entry in found], np.float32),
        image_size=image_size,
        categories=names,
        masks=masks_of(found, image_size),
        keypoints=None if keypoints is None else keypoints[..., :2],
        keypoint_scores=None if keypoints is None else keypoints[..., 2],
        keypoint_names=() if keypoints is None else keypoint_names(file, keypoints.shape[1]),
        model=model,
    )
    return ImportedResults(detections, tuple(filter(None, notes)), len(errors))


def _read_entries(
    file: CocoFile,
    objects: list[tuple[int, dict[str, Any]]],
    image_size: tuple[int, int],
    errors: list[InvalidEntryError],
    *,
    skip_invalid: bool,
) -> list[Entry]:
    """Reads the entries of an image's objects; skipped ones are added to the errors."""
    found: list[Entry] = []
    for index, entry in objects:
        try:
            found.append(read_entry(entry, f"{file.part}[{index}]", image_size, is_annotation=file.is_annotations))
        except InvalidEntryError as error:
            if not skip_invalid:
                raise
            errors.append(error)
    return with_same_keypoints(found, errors, skip_invalid)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'} {'is' if number == 1 else 'are'}"


def _check_size(image: ImageEntries, image_size: tuple[int, int]) -> None:
    """Compares the image's size with its size in the data set."""
    for height, width in image.sizes:
        if (height, width) != tuple(image_size):
            raise ResultsFormatError(
                f"The file is for an image of {width}×{height} pixels, but this one has {image_size[1]}×{image_size[0]}."
            )


def _refuse_percentages(objects: list[tuple[int, dict[str, Any]]]) -> None:
    """Refuses percentages: without those above 1 %, the most doubtful detections would be left, as the most certain ones."""
    scores = [as_number(entry.get("score")) for _, entry in objects]
    above = sum(score is not None and 1.001 < score <= 100 for score in scores)
    if 2 * above > len(scores):
        raise ResultsFormatError(f"{above} of {len(scores)} scores are above 1, so they seem to be percentages. Divide them by 100.")


def _doubt_about_boxes(objects: list[tuple[int, dict[str, Any]]], image_size: tuple[int, int]) -> str:
    """Says that the boxes look like [left, top, right, bottom], where most reach beyond the image as COCO's [x, y, width, height]."""
    height, width = image_size
    boxes = [numbers for _, entry in objects if (numbers := four_numbers(entry.get("bbox"))) is not None]
    beyond = sum(x + w > 1.02 * width or y + h > 1.02 * height for x, y, w, h in boxes)
    corners = all(x <= w <= width + 1 and y <= h <= height + 1 for x, y, w, h in boxes)
    if not beyond or not corners or 2 * beyond <= len(boxes):
        return ""
    return (
        f"{beyond} of {len(boxes)} boxes reach beyond the image and are cut off there. All would be inside as [left, top, right, bottom], "
        "but COCO's boxes are [x, y, width, height]: check what the tool has written."
    )


def _classes(
    file: CocoFile,
    found: list[Entry],
    categories: Mapping[int, str] | None,
    class_list: ClassList | None,
    compared: Mapping[str, Sequence[str]] | None,
) -> tuple[Classes, list[int]]:
    """Returns the file's classes, and the id of each object's class in them."""
    ids: set[int] = set()
    names_of_ids: defaultdict[int, set[str]] = defaultdict(set)
    for entry in file.entries:
        number, name = class_of(entry) if isinstance(entry, dict) and not is_crowd(entry) else (None, "")
        if number is not None:
            ids.add(number)
            if name:
                names_of_ids[number].add(name)
    # An id with several names is none: the names are the classes then.
    ambiguous = {number for number, names in names_of_ids.items() if len(names) > 1}
    own = file.categories or {number: next(iter(names)) for number, names in names_of_ids.items() if number not in ambiguous}
    if categories is not None:
        classes = Classes(categories)
    else:
        classes = find_classes(ids - (ambiguous if not file.categories else set()), own=own, listed=class_list, compared=compared)
    names = dict(classes.names)
    by_name = {name.casefold(): number for number, name in reversed(names.items())}
    chosen = []
    for item in found:
        number = item.category_id
        if number is None or (number in ambiguous and item.name and not file.categories and categories is None):
            # Only the name is known: it is one of the classes, or a further one.
            number = by_name.setdefault(item.name.casefold(), max(names.keys() | ids, default=0) + 1)
            names.setdefault(number, item.name)
        chosen.append(classes.ids.get(number, number))
    return Classes(names, classes.ids, classes.note), chosen


def _labeled(category_ids: list[int], categories: Mapping[int, str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the class names by label, and each object's label, which is the category id if all ids are small and positive."""
    named = {**{key: f"class {key}" for key in sorted(set(category_ids))}, **categories}
    if named.get(0) == BACKGROUND and 0 not in category_ids:
        del named[0]  # As in `Detections.categories`.
    if named and min(named) >= 1 and max(named) <= _LARGEST_LABEL:
        labels = {key: key for key in named}
    else:
        labels = {key: label for label, key in enumerate(sorted(named), start=1)}
    names = [BACKGROUND, *[UNUSED] * max(labels.values(), default=0)]
    for key, label in labels.items():
        names[label] = named[key]
    return tuple(names), np.array([labels[key] for key in category_ids], np.int64)
