"""Results of other tools: a COCO results file that covers many images, checked entry by entry."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection_core.datasets.coco import CocoDataset
from detection_core.formats import ResultsFormatError
from detection_core.formats.coco_entry import Entry as CheckedEntry
from detection_core.formats.coco_entry import is_crowd, read_entry
from detection_core.formats.coco_file import CocoFile, read_coco_file
from detection_core.formats.coco_images import ImageEntries, entries_by_image
from detection_core.formats.coco_values import plain

Entry = dict[str, Any]


@dataclass(frozen=True)
class ResultsFile:
    """A results file that has been read.

    Attributes:
        results: COCO's entries by image id of the data set.
        categories: Class names by category id.
        notes: What the user should know about it.
    """

    results: dict[int, list[Entry]]
    categories: dict[int, str]
    notes: tuple[str, ...]


def read_results_file(path: Path, dataset: CocoDataset) -> ResultsFile:
    """Reads results in COCO's format: a list of results, JSON lines, or a data set whose annotations have scores.

    Numbers are used as they are in the file, so that the figures are those of pycocotools. Images are found by their file name, if the file
    has it, or by their id or, as Ultralytics writes them, by the file name without its extension in place of an id. Categories are those of
    the file if it names them, or else the data set's.

    Args:
        path: The file.
        dataset: The data set that the results are for.

    Raises:
        ResultsFormatError: If the file cannot be read or is not for these images; the message names the entry, counted from 0.
    """
    try:
        file = _parsed(path)
        by_image, errors = entries_by_image(file)
        if errors:
            raise errors[0]
        return _read(file, by_image, dataset)
    except OSError as error:
        raise ResultsFormatError(f"{path} cannot be read ({error.strerror}). Check that it is a file and that you may read it.") from None
    except ResultsFormatError as error:
        raise ResultsFormatError(f"{path}: {error}") from error


def _parsed(path: Path) -> CocoFile:
    try:
        return read_coco_file(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ResultsFormatError):
            raise
        # JSON lines or gzip, or it says what is wrong.
        return read_coco_file(path.read_bytes())


def _read(file: CocoFile, by_image: dict[str, ImageEntries], dataset: CocoDataset) -> ResultsFile:
    categories = dict(file.categories or zip(dataset.category_ids[1:], dataset.categories[1:], strict=True))
    named, images, finder = dict(categories), {image.id: image for image in dataset.images}, _ImageFinder(dataset)
    numbers = {name: number for number, name in named.items()}
    results: dict[int, list[Entry]] = defaultdict(list)
    elsewhere, unknown = 0, set()
    is_annotations, is_empty = file.is_annotations, not file.entries
    # Entries are replaced by checked ones as they are read, because both together take the most memory of an evaluation.
    file.entries.clear()
    for key in list(by_image):
        found = by_image.pop(key)
        image_id = finder.find(key, found.file_names)
        if image_id is None:
            elsewhere += len(found.entries)
            continue
        for index, entry in found.entries:
            if is_crowd(entry):
                continue
            place = f"{file.part}[{index}]"
            checked = read_entry(entry, place, images[image_id].size[::-1], is_annotation=is_annotations)
            count = None if checked.keypoints is None else len(checked.keypoints)
            if count is not None and dataset.keypoint_names and count != len(dataset.keypoint_names):
                raise ResultsFormatError(f"{place} has {count} keypoints, but the data has {len(dataset.keypoint_names)}.")
            number = checked.category_id
            if number is None:  # An entry with the name of its class only.
                number = numbers.setdefault(checked.name, max(named, default=0) + 1)
                named[number] = checked.name
            if number not in named:
                unknown.add(number)
            results[image_id].append({**_exact(entry, checked), "category_id": number})
    if not is_empty and not results:
        raise ResultsFormatError("None of its results is for an image of the data. Give the results for these images.")
    return ResultsFile(dict(results), named, tuple(_notes(dataset, results, elsewhere, unknown)))


def _exact(entry: Entry, checked: CheckedEntry) -> Entry:
    """Returns a checked entry with the numbers of the file, which are not clipped to the image."""
    exact: Entry = {"score": checked.score}
    if box := plain(entry.get("bbox")):
        exact["bbox"] = [float(value) for value in box]
    segmentation = plain(entry.get("segmentation"))
    if checked.runs is not None:
        counts = plain(segmentation.get("counts")) if isinstance(segmentation, dict) else None
        exact["segmentation"] = {"counts": counts if isinstance(counts, str) else checked.runs.tolist()}
    elif checked.polygons:
        rings = segmentation if isinstance(plain(segmentation[0]), list) else [segmentation]
        exact["segmentation"] = [[float(value) for value in plain(ring)] for ring in rings if len(plain(ring)) >= 6]
    if checked.keypoints is not None:
        exact["keypoints"] = checked.keypoints.ravel().tolist()
    return exact


def _notes(dataset: CocoDataset, results: dict[int, list[Entry]], elsewhere: int, unknown: set[int]) -> list[str]:
    notes = []
    if elsewhere:
        notes.append(f"{elsewhere:,} of its results are for images that the data does not have, and are left out.")
    if without := sum(image.id not in results for image in dataset.images):
        notes.append(f"It has no results for {without:,} of {len(dataset.images):,} images, where nothing counts as found.")
    if unknown:
        shown = ", ".join(map(str, sorted(unknown)[:8]))
        notes.append(f"No class has the category id {shown}: these results are left out.")
    return notes


class _ImageFinder:
    """Finds the data set's image that a results file means by an id or a file name."""

    def __init__(self, dataset: CocoDataset) -> None:
        self._ids = {str(image.id): image.id for image in dataset.images}
        by_name: dict[str, set[int]] = defaultdict(set)
        for image in dataset.images:
            stem = image.path.stem
            for name in {image.file_name, image.path.name, stem, str(int(stem)) if stem.isdecimal() else stem}:
                by_name[name].add(image.id)
        # A name that several images have identifies none of them.
        self._names = {name: next(iter(ids)) for name, ids in by_name.items() if len(ids) == 1}

    def find(self, key: str, file_names: set[str]) -> int | None:
        """Returns the image's id in the data set, or None if it has no such image."""
        for name in (*sorted(file_names), *(Path(name).name for name in sorted(file_names))):
            if name in self._names:
                return self._names[name]
        return None if file_names else self._ids.get(key, self._names.get(key))
