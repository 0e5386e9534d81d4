"""Reads COCO-format annotations as images and classes with labels 1 to N, without reading the image files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

from detection_core.datasets.coco_json import DataError, Malformed, listed, read_entries
from detection_core.datasets.coco_layout import Split, choose_annotations, image_folders
from detection_core.datasets.normalization import Entry
from detection_core.detections.coco_names import BACKGROUND

__all__ = ["AnnotatedImage", "CocoDataset", "DataError", "Malformed", "merge", "read_coco", "require_objects", "split"]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and its annotations. Entries are COCO's own and may be faulty: see `checks.check`.

    Attributes:
        id: COCO's image id.
        path: The expected image file.
        size: (width, height) in pixels, as annotated: of the stored pixels, before any EXIF rotation.
        annotations: COCO's entries of single objects.
        crowds: COCO's entries of groups (`iscrowd`): not used as training targets, and ignored in an evaluation.
        has_masks: Whether every annotation has a polygon or an RLE, so that masks can be trained on the image.
        partial: Whether some objects are not labeled, so that the background cannot be trained on the image. This includes images with
            nothing but crowds, which are neither targets nor background.
        file_name: Its name as the annotations have it.
        several: The files that match this name equally well, of which none was taken.
    """

    id: int
    path: Path
    size: tuple[int, int]
    annotations: tuple[Entry, ...] = ()
    crowds: tuple[Entry, ...] = ()
    has_masks: bool = False
    partial: bool = False
    file_name: str = ""
    several: tuple[str, ...] = ()


@dataclass(frozen=True)
class CocoDataset:
    """A set of images with the classes and keypoints of their annotations.

    Attributes:
        images: In the file's order.
        categories: Class names by label; label 0 is the background.
        category_ids: COCO's category id by label; 0 for the background.
        keypoint_names: Names of the keypoints of the first category that has any, or empty; torchvision supports only one skeleton.
        orphans: Annotations of images that the file does not list, or that are malformed.
        malformed: Unusable entries, which appear nowhere else.
        groups: Ids and names of categories that only group others and are no classes here.
        notes: Values that were not read as they are written, one line each, for the user.
    """

    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]
    category_ids: tuple[int, ...]
    keypoint_names: tuple[str, ...] = ()
    orphans: tuple[Entry, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    groups: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label, 1 to N, of each COCO category id."""
        return {category_id: label for label, category_id in enumerate(self.category_ids) if label}

    @property
    def keypoint_labels(self) -> tuple[int, ...]:
        """The labels of the classes with at least one labeled keypoint."""
        known = (a for image in self.images for a in image.annotations if a["category_id"] in self.labels and _shows_keypoint(a))
        return tuple(sorted({self.labels[annotation["category_id"]] for annotation in known}))

    @property
    def has_masks(self) -> bool:
        """Whether masks can be trained on any image."""
        return any(image.has_masks and image.annotations for image in self.images)

    @property
    def has_keypoints(self) -> bool:
        """Whether the keypoints have names and any keypoint is labeled."""
        return bool(self.keypoint_names) and any(_shows_keypoint(a) for image in self.images for a in image.annotations)


def read_coco(
    source: Path, *, partial: bool = False, split: Split | None = None, usual: Split = "val", keypoints: bool = False
) -> CocoDataset:
    """Reads annotations in COCO's "instances" or "person keypoints" format.

    Only the structure of the file is checked here; unusable entries and faulty boxes, masks, keypoints and images are listed by
    `checks.check`. A value of null counts as missing.

    Args:
        source: A `.json` file, or a folder with `annotations.json` or another of the names in `coco_layout.annotation_files`. An image is
            searched in `images/` beside the file, then beside the file itself, then in `coco_layout.image_folders`, by its path in the
            file or a file that matches it: see `image_finder.ImageFinder`.
        partial: Whether some objects in the images are not labeled.
        split: The part to read of a folder that has several; None for `usual`, or else `val`, `test` or `train`.
        usual: The part to read if the folder has it, and none is demanded.
        keypoints: Whether to prefer COCO's file of persons with keypoints to the one of all objects.

    Returns:
        Images in the file's order and categories in the order of their ids. Without `categories` each category id that occurs is a
        class "class ID". An image's `has_masks` is taken from its entry, or else from the segmentations of its annotations. Deviations of
        exporters from COCO's format are read as they are meant, with notes.

    Raises:
        DataError: If the file is missing or is not a COCO annotation file, or the folder has none of that part.
    """
    file, note = choose_annotations(source, split=split, usual=usual, keypoints=keypoints) if source.is_dir() else (source, "")
    entries, annotations, categories, malformed, groups, notes = read_entries(file, image_folders(file))
    by_image = defaultdict(list)
    for annotation in annotations:
        by_image[annotation["image_id"]].append(annotation)
    # If entries share an id, the first gets the annotations, which cannot be assigned.
    images = tuple(_image(image, by_image.pop(image["id"], []), partial) for image in entries)
    return CocoDataset(
        images=images,
        categories=(BACKGROUND, *(category["name"] for category in categories)),
        category_ids=(0, *(category["id"] for category in categories)),
        keypoint_names=next((tuple(category["keypoints"]) for category in categories if category.get("keypoints")), ()),
        orphans=tuple(annotation for left in by_image.values() for annotation in left),
        malformed=malformed,
        groups=tuple((category["id"], category["name"]) for category in groups),
        notes=(note, *notes) if note else notes,
    )


def with_shared_classes(datasets: Sequence[CocoDataset]) -> list[CocoDataset]:
    """Data sets in which a category that is a class in any of them is one in all, even where it only groups others.

    Args:
        datasets: Those whose classes are to be the same.
    """
    names = {name for dataset in datasets for name in dataset.categories}
    return [_with_groups(dataset, names) for dataset in datasets]


def _with_groups(dataset: CocoDataset, names: set[str]) -> CocoDataset:
    classes = dict(zip(dataset.category_ids[1:], dataset.categories[1:], strict=True))
    missing = {number: name for number, name in dataset.groups if name in names - set(classes.values())}
    if not missing:
        return dataset
    ids = sorted(classes | missing)
    return replace(dataset, categories=(BACKGROUND, *((classes | missing)[number] for number in ids)), category_ids=(0, *ids))


def merge(datasets: Sequence[CocoDataset]) -> CocoDataset:
    """Merges data sets into one with the labels of the first. Check each before: ids that occur in two of them are renumbered.

    Args:
        datasets: At least one.

    Raises:
        DataError: If they differ in the names of their classes or keypoints.
    """
    datasets = with_shared_classes(datasets)
    first = datasets[0]
    keypoint_names = next((dataset.keypoint_names for dataset in datasets if dataset.keypoint_names), ())
    for other in datasets[1:]:
        different = set(first.categories) ^ set(other.categories)
        if different:
            raise DataError(f"The data sets have different classes: only one of them has {listed(sorted(different))}. Name them alike.")
        if other.keypoint_names not in ((), keypoint_names):
            raise DataError("The data sets have different keypoints, or the same in another order. Give them the same list of keypoints.")
    images = [image for dataset in datasets for image in _with_category_ids_of(first, dataset)]
    return CocoDataset(_with_unique_ids(images), first.categories, first.category_ids, keypoint_names, groups=first.groups)


def require_objects(dataset: CocoDataset) -> None:
    """Raises an error if there is nothing to learn.

    Args:
        dataset: The training data.

    Raises:
        DataError: If no image has a single object.
    """
    if not any(image.annotations for image in dataset.images):
        raise DataError('No image has an object to learn from ("iscrowd": 1 does not count). Annotate some objects, or give other data.')


def split(dataset: CocoDataset, fraction: float, seed: int = 0) -> tuple[CocoDataset, CocoDataset]:
    """Splits the images into a training and a validation set.

    The assignment depends on the image's id and the seed alone, so it hardly changes when images are added. Partly labeled images are
    used for training unless there are no others, because validation would count correct detections in them as wrong. If two images
    have objects, each set gets one; if only one has, it is used for training.

    Args:
        dataset: At least two images.
        fraction: Share of the validation set, between 0 and 1; each set gets at least one image.
        seed: Seed of the assignment.

    Returns:
        The training and the validation set, each in the order of the data set.

    Raises:
        DataError: If there are fewer than two images.
    """
    if len(dataset.images) < 2:
        raise DataError("One image cannot be split into training and validation. Add images, or give separate validation data.")
    eligible = [i for i, image in enumerate(dataset.images) if not image.partial] or list(range(len(dataset.images)))
    eligible.sort(key=lambda i: hashlib.sha256(f"{seed}:{dataset.images[i].id}".encode()).digest())
    wanted = min(max(1, round(fraction * len(eligible))), len(dataset.images) - 1)
    chosen = set(_with_objects_on_both_sides(dataset.images, eligible, wanted))

    def part(is_validation: bool) -> CocoDataset:
        images = tuple(image for i, image in enumerate(dataset.images) if (i in chosen) == is_validation)
        return replace(dataset, images=images, orphans=(), malformed=())

    return part(False), part(True)


def _with_objects_on_both_sides(images: Sequence[AnnotatedImage], order: list[int], wanted: int) -> list[int]:
    """Returns the first `wanted` images of the order, with one image exchanged if only one set would have objects."""
    first, later = order[:wanted], order[wanted:]
    elsewhere = [i for i in range(len(images)) if i not in set(order)]
    giving = [i for i in first if images[i].annotations]
    spare = [i for i in later if images[i].annotations]
    left = len(spare) + sum(bool(images[i].annotations) for i in elsewhere)
    if not giving and spare and left > 1:
        first[-1] = spare[0]
    elif giving and not left:
        first[first.index(giving[-1])] = (later or elsewhere)[0]
    return first


def _shows_keypoint(annotation: Entry) -> bool:
    keypoints = annotation.get("keypoints")
    return isinstance(keypoints, list) and any(keypoints)


def _image(image: Entry, annotations: list[Entry], partial: bool) -> AnnotatedImage:
    objects = tuple(annotation for annotation in annotations if annotation.get("iscrowd") != 1)
    crowds = tuple(annotation for annotation in annotations if annotation.get("iscrowd") == 1)
    return AnnotatedImage(
        id=image["id"],
        path=image["path"],
        size=(image["width"], image["height"]),
        annotations=objects,
        crowds=crowds,
        has_masks=bool(image.get("has_masks", all(annotation.get("segmentation") for annotation in objects))),
        partial=partial or bool(crowds and not objects),
        file_name=image["file_name"],
        several=image["several"],
    )


def _with_category_ids_of(first: CocoDataset, other: CocoDataset) -> list[AnnotatedImage]:
    if (other.categories, other.category_ids) == (first.categories, first.category_ids):
        return list(other.images)
    by_name = dict(zip(first.categories, first.category_ids, strict=True))
    renamed = {number: by_name[other.categories[label]] for number, label in other.labels.items()}

    return [_with_entries(image, lambda entry: {**entry, "category_id": renamed.get(entry["category_id"])}) for image in other.images]


def _with_unique_ids(images: list[AnnotatedImage]) -> tuple[AnnotatedImage, ...]:
    image_ids = [image.id for image in images]
    annotation_ids = [annotation["id"] for image in images for annotation in image.annotations + image.crowds]
    if len(set(image_ids)) == len(image_ids) and len(set(annotation_ids)) == len(annotation_ids):
        return tuple(images)
    numbers = count(1)

    def renumbered(image_id: int, image: AnnotatedImage) -> AnnotatedImage:
        return replace(_with_entries(image, lambda entry: {**entry, "id": next(numbers), "image_id": image_id}), id=image_id)

    return tuple(renumbered(i, image) for i, image in enumerate(images, 1))


def _with_entries(image: AnnotatedImage, change: Callable[[Entry], Entry]) -> AnnotatedImage:
    return replace(image, annotations=tuple(map(change, image.annotations)), crowds=tuple(map(change, image.crowds)))
