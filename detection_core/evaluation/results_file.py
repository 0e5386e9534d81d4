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
from detection_core.formats.coco_entry import read_entry

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
    """Reads results in COCO's format: a list of results, or a data set whose annotations have scores.

    Numbers are used as they are in the file, so that the figures are those of pycocotools. Images are found by their id or, as Ultralytics
    writes them, by the file name without its extension. Categories are those of the file if it names them, or else the data set's.

    Args:
        path: The file.
        dataset: The data set that the results are for.

    Raises:
        ResultsFormatError: If the file cannot be read or is not for these images; the message names the entry, counted from 0.
    """
    data = _parsed(path)
    part, entries = ("annotations", data.get("annotations")) if isinstance(data, dict) else ("results", data)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ResultsFormatError(f"{path}: this is not a COCO results file. It must be a list of results with “image_id”, or a data set.")
    categories = _categories(path, data) or dict(zip(dataset.category_ids[1:], dataset.categories[1:], strict=True))
    images = {image.id: image for image in dataset.images}
    by_name = _ids_by_name(dataset)
    results: dict[int, list[Entry]] = defaultdict(list)
    elsewhere, unknown = 0, set()
    for index, entry in enumerate(entries):
        given = entry.get("image_id")
        image_id = given if given in images else by_name.get(given) if isinstance(given, int | str) else None
        if image_id is None:
            elsewhere += 1
            continue
        image = images[image_id]
        checked = read_entry(entry, f"{path}: {part}[{index}]", image.size[::-1])
        count = None if checked.keypoints is None else len(checked.keypoints)
        if count is not None and dataset.keypoint_names and count != len(dataset.keypoint_names):
            raise ResultsFormatError(f"{path}: {part}[{index}] has {count} keypoints, but the data has {len(dataset.keypoint_names)}.")
        if checked.category_id not in categories:
            unknown.add(checked.category_id)
        results[image_id].append(_exact(entry, checked))
    if entries and not results:
        raise ResultsFormatError(f"{path}: none of its results is for an image of the data. Give the results for these images.")
    return ResultsFile(dict(results), categories, tuple(_notes(dataset, results, elsewhere, unknown)))


def _exact(entry: Entry, checked: CheckedEntry) -> Entry:
    """Returns a checked entry with the numbers of the file, which are not clipped to the image."""
    exact: Entry = {"category_id": checked.category_id, "score": checked.score}
    if entry.get("bbox"):
        exact["bbox"] = [float(value) for value in entry["bbox"]]
    segmentation = entry.get("segmentation")
    if checked.runs is not None:
        counts = segmentation["counts"] if isinstance(segmentation, dict) else None
        exact["segmentation"] = {"counts": counts if isinstance(counts, str) else checked.runs.tolist()}
    elif checked.polygons and isinstance(segmentation, list):
        rings = segmentation if isinstance(segmentation[0], list) else [segmentation]
        exact["segmentation"] = [[float(value) for value in ring] for ring in rings if len(ring) >= 6]
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


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ResultsFormatError(f"{path} cannot be read ({error.strerror}). Check that it is a file and that you may read it.") from None
    except (ValueError, RecursionError) as error:
        raise ResultsFormatError(f"{path} is not valid JSON ({error}). Write the results again.") from None


def _categories(path: Path, data: Any) -> dict[int, str]:
    listed = data.get("categories") if isinstance(data, dict) else None
    names = {}
    for index, category in enumerate(listed if isinstance(listed, list) else []):
        number, name = (category.get("id"), category.get("name")) if isinstance(category, dict) else (None, None)
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(name, str):
            raise ResultsFormatError(f"{path}: categories[{index}] must have an integer “id” and a text “name”.")
        names[number] = name
    return names


def _ids_by_name(dataset: CocoDataset) -> dict[int | str, int]:
    """Image ids by the stem of the file name, also as a number if it is one; stems of several images are left out."""
    found: dict[int | str, set[int]] = defaultdict(set)
    for image in dataset.images:
        stem = image.path.stem
        found[stem].add(image.id)
        if stem.isdecimal():
            found[int(stem)].add(image.id)
    return {stem: next(iter(ids)) for stem, ids in found.items() if len(ids) == 1}
