"""Reads results of other tools from COCO's formats as detections for comparison; nothing in the file is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.coco_names import BACKGROUND, COCO_CLASSES, COCO_KEYPOINTS, UNUSED
from detection_core.formats.coco_entry import Entry, read_entry
from detection_core.formats.errors import ResultsFormatError, SeveralImagesError
from detection_core.formats.mask_fit import grid_of_polygons, grid_of_runs, grid_pixels

# Detectors return 100 to 300 objects. Two results are compared by a matrix of all pairs, so memory grows with the square.
MOST_ENTRIES = 2_000
_MOST_BYTES = 128 * 2**20
# Size of the soft masks: that of an accurate model, or smaller if there are very many objects.
_GRID, _SMALL_GRID, _MANY = 56, 28, 1000
_MOST_MASK_PIXELS = 500_000_000
# Category ids up to this one are used as labels, so that colors are the same as for other models with these ids.
_LARGEST_LABEL = 1000
# Other tools' keypoints have a flag or a probability; logits beyond this limit add nothing.
_SURE = 10.0
_SHOWN_IDS = 10
_LONGEST_NAME = 100

ImageId = int | str


def read_coco_results(
    data: bytes | list[Any] | dict[str, Any],
    image_size: tuple[int, int],
    *,
    image_id: ImageId | None = None,
    categories: Mapping[int, str] | None = None,
    model: str = "",
) -> Detections:
    """Reads another tool's detections for one image from a COCO results list or a COCO data set.

    Boxes and keypoints are read as float32; boxes are clipped to the image. Masks (compressed or plain run lengths, polygons)
    become soft masks of 56×56, or of 28×28 for more than 1000 objects: see `mask_fit.grid_of_runs` for their accuracy. An object
    without a box gets the one around its mask or keypoints. If other objects have masks, an object without one gets an empty mask; if
    others have keypoints, an object without any gets NaN, as described at `Detections`. The logits of keypoints come from
    `keypoint_scores`, which this project's export adds, or else from the third number of each keypoint as a probability: 0 becomes
    −10, 0.5 becomes 0, and 1 or more becomes 10.

    Args:
        data: The file's content, or the parsed JSON.
        image_size: (height, width) of the image.
        image_id: Id of the image; required if the file covers several. Ultralytics writes the file's stem if it is not a number.
        categories: Class names by category id; None uses the data set's, or else COCO's. Ids without a name become "class ID".
            Names in the file are shortened to 100 characters, and unprintable characters become spaces.
        model: Name of the result.

    Raises:
        ResultsFormatError: If the file cannot be read or belongs to another image; the message names the entry, counted from 0.
    """
    if isinstance(data, bytes):
        data = _parsed(data)
    part, entries, dataset = _entries(data)
    chosen = _of_one_image(part, entries, dataset, image_id)
    if len(chosen) > MOST_ENTRIES:
        raise ResultsFormatError(f"There are {len(chosen):,} entries for this image; at most {MOST_ENTRIES:,} are read.")
    _check_image(dataset, image_id, chosen, image_size)
    found = [read_entry(entry, f"{part}[{index}]", image_size) for index, entry in chosen]
    own_categories = _categories(dataset)
    if categories is None:
        categories = own_categories or {label: name for label, name in enumerate(COCO_CLASSES) if label and name != UNUSED}
    names, labels = _labeled(found, categories)
    keypoints = _keypoints(part, found)
    return Detections(
        boxes=np.array([entry.box for entry in found], np.float32).reshape(-1, 4),
        labels=labels,
        scores=np.array([entry.score for entry in found], np.float32),
        image_size=image_size,
        categories=names,
        masks=_masks(found, image_size),
        keypoints=None if keypoints is None else keypoints[..., :2],
        keypoint_scores=None if keypoints is None else keypoints[..., 2],
        keypoint_names=() if keypoints is None else _keypoint_names(dataset, keypoints.shape[1]),
        model=model,
    )


def _parsed(content: bytes) -> Any:
    if len(content) > _MOST_BYTES:
        raise ResultsFormatError(f"The file has {len(content) / 2**20:.0f} MiB; at most {_MOST_BYTES // 2**20} MiB are read.")

    def refuse(constant: str) -> NoReturn:
        raise ResultsFormatError(f"The file contains {constant}, which is not a number in JSON.")

    try:
        return json.loads(content, parse_constant=refuse)
    except ResultsFormatError:
        raise
    except RecursionError as error:
        raise ResultsFormatError("The file is nested too deeply to be COCO results.") from error
    except ValueError as error:
        raise ResultsFormatError(f"The file is not valid JSON: {error}.") from error


def _entries(data: Any) -> tuple[str, list[Any], dict[str, Any]]:
    """Returns the name of the list of entries, the list, and the data set that contains it, if any."""
    if isinstance(data, list):
        return "results", data, {}
    if isinstance(data, dict) and isinstance(data.get("annotations"), list):
        for part in ("images", "categories"):
            if not isinstance(data.get(part, []), list):
                raise ResultsFormatError(f"“{part}” must be a list.")
        return "annotations", data["annotations"], data
    raise ResultsFormatError("The file is not a COCO file: it must be a list of results, or an object with a list “annotations”.")


def _of_one_image(part: str, entries: list[Any], dataset: dict[str, Any], image_id: ImageId | None) -> list[tuple[int, dict[str, Any]]]:
    """Returns the entries of the image with their positions in the file."""
    by_image: dict[ImageId, list[tuple[int, dict[str, Any]]]] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ResultsFormatError(f"{part}[{index}] must be an object with “image_id”, “category_id” and “bbox”.")
        key = entry.get("image_id")
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise ResultsFormatError(f"{part}[{index}]: its “image_id” must be an integer or a string.")
        by_image.setdefault(key, []).append((index, entry))
    images = {*by_image, *_image_ids(dataset)}
    if image_id is None:
        if len(images) > 1:
            raise SeveralImagesError(f"The file covers {len(images):,} images; choose one of the image ids {_listed(images)}.")
        return next(iter(by_image.values()), [])
    if image_id not in images and images:
        raise ResultsFormatError(f"Nothing in the file has the image id {image_id!r}; it has {_listed(images)}.")
    return by_image.get(image_id, [])


def _image_ids(dataset: dict[str, Any]) -> list[ImageId]:
    images = dataset.get("images", [])
    return [image["id"] for image in images if isinstance(image, dict) and isinstance(image.get("id"), int | str)]


def _listed(ids: set[ImageId]) -> str:
    shown = [str(key)[:40] for key in sorted(ids, key=lambda key: (isinstance(key, str), key))[:_SHOWN_IDS]]
    return ", ".join(shown) + (f" and {len(ids) - len(shown):,} more" if len(ids) > len(shown) else "")


def _check_image(
    dataset: dict[str, Any], image_id: ImageId | None, chosen: list[tuple[int, dict[str, Any]]], image_size: tuple[int, int]
) -> None:
    """Compares the image's size with its size in the data set."""
    key = chosen[0][1]["image_id"] if chosen else image_id
    for image in dataset.get("images", []):
        if not isinstance(image, dict) or image.get("id") != key:
            continue
        recorded = image.get("height"), image.get("width")
        if all(isinstance(side, int) for side in recorded) and recorded != tuple(image_size):
            raise ResultsFormatError(
                f"The file is for an image of {recorded[1]}×{recorded[0]} pixels, but this one has {image_size[1]}×{image_size[0]}."
            )


def _categories(dataset: dict[str, Any]) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, category in enumerate(dataset.get("categories", [])):
        key, name = (category.get("id"), category.get("name")) if isinstance(category, dict) else (None, None)
        if isinstance(key, bool) or not isinstance(key, int) or not isinstance(name, str):
            raise ResultsFormatError(f"categories[{index}] must have an integer “id” and a string “name”.")
        names[key] = _fit_to_show(name) or f"class {key}"
    return names


def _fit_to_show(name: str) -> str:
    """Removes whatever cannot be drawn, printed or encoded, such as line breaks, terminal codes and lone surrogates."""
    return "".join(letter if letter.isprintable() else " " for letter in name[:_LONGEST_NAME]).strip()


def _labeled(found: list[Entry], categories: Mapping[int, str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Returns the class names by label, and each object's label, which is the category id if all ids are small and positive."""
    occurring = {entry.category_id for entry in found}
    named = {**{key: f"class {key}" for key in sorted(occurring)}, **categories}
    if named and min(named) >= 1 and max(named) <= _LARGEST_LABEL:
        labels = {key: key for key in named}
    else:
        labels = {key: label for label, key in enumerate(sorted(named), start=1)}
    names = [BACKGROUND, *[UNUSED] * max(labels.values(), default=0)]
    for key, label in labels.items():
        names[label] = named[key]
    return tuple(names), np.array([labels[entry.category_id] for entry in found], np.int64)


def _masks(found: list[Entry], image_size: tuple[int, int]) -> NDArray[np.float32] | None:
    if not any(entry.runs is not None or entry.polygons for entry in found):
        return None
    size = _GRID if len(found) <= _MANY else _SMALL_GRID
    masks = np.zeros((len(found), size, size), np.float32)
    pixels = sum(grid_pixels(entry.box, image_size, size) for entry in found if entry.runs is not None)
    if pixels > _MOST_MASK_PIXELS:
        raise ResultsFormatError(f"The boxes of all masks have {pixels:,} pixels together; at most {_MOST_MASK_PIXELS:,} are read.")
    for index, entry in enumerate(found):
        box = np.array(entry.box, np.float32)
        if entry.runs is not None:
            masks[index] = grid_of_runs(entry.runs, box, image_size, size)
        elif entry.polygons:
            masks[index] = grid_of_polygons(entry.polygons, box, size)
    return masks


def _keypoints(part: str, found: list[Entry]) -> NDArray[np.float32] | None:
    """Returns keypoints [N,K,3] with logits, NaN for an object without any; None if no object has any."""
    counts = {len(entry.keypoints): entry.place for entry in found if entry.keypoints is not None}
    if not counts:
        return None
    if len(counts) > 1:
        (few, here), (many, there), *_ = counts.items()
        raise ResultsFormatError(f"{here} has {few} keypoints and {there} has {many}; all objects must have the same keypoints.")
    keypoints = np.full((len(found), next(iter(counts)), 3), np.nan, np.float32)
    for index, entry in enumerate(found):
        if entry.keypoints is not None:
            keypoints[index] = entry.keypoints
            keypoints[index, :, 2] = _logits(entry.keypoints[:, 2]) if entry.logits is None else entry.logits
    return keypoints


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.clip(np.log(kept / (1 - kept)), -_SURE, _SURE)


def _keypoint_names(dataset: dict[str, Any], count: int) -> tuple[str, ...]:
    for category in dataset.get("categories", []):
        keypoints = category.get("keypoints")
        if isinstance(keypoints, list) and len(keypoints) == count:
            names = tuple(_fit_to_show(str(keypoint)) for keypoint in keypoints)
            if len(set(names)) == count:
                return names
    return COCO_KEYPOINTS if count == len(COCO_KEYPOINTS) else tuple(f"keypoint {number}" for number in range(1, count + 1))
