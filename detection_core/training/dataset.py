"""COCO-format annotations as photos and classes with labels 1 to N; the pictures stay on disk until somebody looks at them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

BACKGROUND = "__background__"

_KIND_NAMES = {int: "a whole number", str: "a text"}


class DataError(ValueError):
    """A data set cannot be used as it is; the message says what is wrong and what to do, for people."""


@dataclass(frozen=True)
class Photo:
    """One photo and what is drawn on it. Entries are COCO's own and may be faulty: see `checks.check`.

    Attributes:
        id: COCO's image id.
        path: Where the picture should be.
        size: (width, height) in pixels, as annotated: of the stored pixels, before any EXIF rotation.
        annotations: COCO's entries of single objects.
        crowds: COCO's entries of groups (`iscrowd`): no targets of training, and neither right nor wrong in an evaluation.
        has_masks: Every annotation has a polygon or an RLE, so that the photo can teach masks.
        partial: Some objects are not labelled, so that the photo teaches nothing about what is background.
    """

    id: int
    path: Path
    size: tuple[int, int]
    annotations: tuple[dict[str, Any], ...] = ()
    crowds: tuple[dict[str, Any], ...] = ()
    has_masks: bool = False
    partial: bool = False


@dataclass(frozen=True)
class CocoDataset:
    """Photos and the classes and joints of their annotations.

    Attributes:
        photos: In the file's order.
        categories: Class names by label; label 0 is the background.
        category_ids: COCO's category id by label; 0 for the background.
        keypoint_names: Names of the joints, or empty; of the first category that names any, as torchvision knows one kind of skeleton.
        orphans: Annotations of images that the file does not list.
    """

    photos: tuple[Photo, ...]
    categories: tuple[str, ...]
    category_ids: tuple[int, ...]
    keypoint_names: tuple[str, ...] = ()
    orphans: tuple[dict[str, Any], ...] = ()

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label, 1 to N, of each COCO category id."""
        return {category_id: label for label, category_id in enumerate(self.category_ids) if label}

    @property
    def has_masks(self) -> bool:
        """Whether any photo can teach masks."""
        return any(photo.has_masks and photo.annotations for photo in self.photos)

    @property
    def has_keypoints(self) -> bool:
        """Whether the joints have names and any object shows one."""
        return bool(self.keypoint_names) and any(any(a.get("keypoints") or ()) for photo in self.photos for a in photo.annotations)


def read_coco(source: Path, *, partial: bool = False) -> CocoDataset:
    """Reads annotations in COCO's "instances" or "person keypoints" format.

    Only the structure of the file is checked here; faulty boxes, masks, joints and pictures are found by `checks.check`.

    Args:
        source: A folder with `annotations.json`, or a `.json` file. A picture is looked for in `images/` beside the file, then beside the
            file itself, by the path that the file gives.
        partial: Not every object on the photos is labelled.

    Returns:
        Photos in the file's order and categories in the order of their ids. Without `categories` each category id that occurs is a
        class "class ID". An image may say `has_masks`; where it does not, the segmentations of its annotations do.

    Raises:
        DataError: If the file is missing or is no COCO annotation file.
    """
    file = source / "annotations.json" if source.is_dir() else source
    data = _json_object(file)
    images = _entries(file, data, "images", {"id": int, "file_name": str, "width": int, "height": int})
    annotations = _entries(file, data, "annotations", {"id": int, "image_id": int, "category_id": int})
    if not images:
        raise DataError(f'{file}: "images" is empty. Training needs at least one photo.')
    categories = _categories(file, data, annotations)
    by_image = defaultdict(list)
    for annotation in annotations:
        by_image[annotation["image_id"]].append(annotation)
    # Where images share an id, the first has the annotations: nobody knows whose they are.
    photos = tuple(_photo(image, by_image.pop(image["id"], []), file.parent, partial) for image in images)
    return CocoDataset(
        photos=photos,
        categories=(BACKGROUND, *(category["name"] for category in categories)),
        category_ids=(0, *(category["id"] for category in categories)),
        keypoint_names=next((tuple(category["keypoints"]) for category in categories if category.get("keypoints")), ()),
        orphans=tuple(annotation for left in by_image.values() for annotation in left),
    )


def merge(datasets: Sequence[CocoDataset]) -> CocoDataset:
    """One data set of all photos, with the labels of the first. Check each before: ids that two of them share are numbered anew.

    Args:
        datasets: At least one.

    Raises:
        DataError: If they differ in the names of their classes or joints.
    """
    first = datasets[0]
    keypoint_names = next((dataset.keypoint_names for dataset in datasets if dataset.keypoint_names), ())
    for other in datasets[1:]:
        different = set(first.categories) ^ set(other.categories)
        if different:
            raise DataError(f"The data sets have different classes: only one of them has {_listed(sorted(different))}. Name them alike.")
        if other.keypoint_names not in ((), keypoint_names):
            raise DataError("The data sets have different joints, or the same in another order. Give them the same list of keypoints.")
    photos = [photo for dataset in datasets for photo in _with_category_ids_of(first, dataset)]
    return CocoDataset(_with_unique_ids(photos), first.categories, first.category_ids, keypoint_names)


def split(dataset: CocoDataset, fraction: float, seed: int = 0) -> tuple[CocoDataset, CocoDataset]:
    """Divides the photos into some to train on and some to validate on.

    A photo's side is decided by its id and the seed alone, so that it hardly changes when photos are added. Photos that are only partly
    labelled are trained on, as they would count right answers as wrong; unless there are no others.

    Args:
        dataset: At least two photos.
        fraction: Share of the photos to validate on, between 0 and 1; at least one photo goes either way.
        seed: Another seed gives another division.

    Returns:
        The photos to train on and those to validate on, each in the order of the data set.

    Raises:
        DataError: If there are fewer than two photos.
    """
    if len(dataset.photos) < 2:
        raise DataError("One photo cannot be split into training and validation. Add photos, or give validation data of their own.")
    eligible = [i for i, photo in enumerate(dataset.photos) if not photo.partial] or list(range(len(dataset.photos)))
    eligible.sort(key=lambda i: hashlib.sha256(f"{seed}:{dataset.photos[i].id}".encode()).digest())
    wanted = min(max(1, round(fraction * len(eligible))), len(dataset.photos) - 1)
    chosen = set(eligible[:wanted])

    def part(is_validation: bool) -> CocoDataset:
        photos = tuple(photo for i, photo in enumerate(dataset.photos) if (i in chosen) == is_validation)
        return replace(dataset, photos=photos, orphans=())

    return part(False), part(True)


def _json_object(file: Path) -> dict[str, Any]:
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


def _entries(file: Path, data: dict[str, Any], key: str, fields: dict[str, type]) -> list[dict[str, Any]]:
    entries = data.get(key)
    if not isinstance(entries, list):
        raise DataError(f'{file} has no list "{key}", so it is not in COCO\'s format. Export the annotations again as COCO JSON.')
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f'{file}: entry {position} of "{key}" is not an object. Remove it, or export the annotations again.')
        for field, kind in fields.items():
            if not isinstance(entry.get(field), kind):
                wanted = f'needs "{field}", {_KIND_NAMES[kind]}; it has {entry.get(field)!r}'
                raise DataError(f'{file}: entry {position} of "{key}" {wanted}. Add it, or export the annotations again as COCO JSON.')
    return entries


def _categories(file: Path, data: dict[str, Any], annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not data.get("categories"):
        return [{"id": number, "name": f"class {number}"} for number in sorted({a["category_id"] for a in annotations})]
    categories = sorted(_entries(file, data, "categories", {"id": int, "name": str}), key=lambda category: int(category["id"]))
    for key in ("id", "name"):
        values = [category[key] for category in categories]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise DataError(f"{file}: several categories have the {key} {_listed(repeated)}. Give each its own, or remove the unused one.")
    for category in categories:
        names = category.get("keypoints") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f'{file}: "keypoints" of the category "{category["name"]}" must be a list of the joints\' names.')
    return categories


def _photo(image: dict[str, Any], annotations: list[dict[str, Any]], folder: Path, partial: bool) -> Photo:
    objects = tuple(annotation for annotation in annotations if not annotation.get("iscrowd"))
    in_images = folder / "images" / image["file_name"]
    beside = folder / image["file_name"]
    return Photo(
        id=image["id"],
        path=beside if beside.is_file() and not in_images.is_file() else in_images,
        size=(image["width"], image["height"]),
        annotations=objects,
        crowds=tuple(annotation for annotation in annotations if annotation.get("iscrowd")),
        has_masks=bool(image.get("has_masks", all(annotation.get("segmentation") for annotation in objects))),
        partial=partial,
    )


def _with_category_ids_of(first: CocoDataset, other: CocoDataset) -> list[Photo]:
    if (other.categories, other.category_ids) == (first.categories, first.category_ids):
        return list(other.photos)
    by_name = dict(zip(first.categories, first.category_ids, strict=True))
    renamed = {number: by_name[other.categories[label]] for number, label in other.labels.items()}

    return [_with_entries(photo, lambda entry: {**entry, "category_id": renamed.get(entry["category_id"])}) for photo in other.photos]


def _with_unique_ids(photos: list[Photo]) -> tuple[Photo, ...]:
    image_ids = [photo.id for photo in photos]
    annotation_ids = [annotation["id"] for photo in photos for annotation in photo.annotations + photo.crowds]
    if len(set(image_ids)) == len(image_ids) and len(set(annotation_ids)) == len(annotation_ids):
        return tuple(photos)
    numbers = count(1)

    def renumbered(image_id: int, photo: Photo) -> Photo:
        return replace(_with_entries(photo, lambda entry: {**entry, "id": next(numbers), "image_id": image_id}), id=image_id)

    return tuple(renumbered(i, photo) for i, photo in enumerate(photos, 1))


def _with_entries(photo: Photo, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Photo:
    return replace(photo, annotations=tuple(map(change, photo.annotations)), crowds=tuple(map(change, photo.crowds)))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
