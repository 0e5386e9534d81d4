"""Finds every fault of a data set in one pass, before training starts, and takes the faulty parts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from detection_core.datasets.annotation_checks import Problem, annotation_problems
from detection_core.datasets.coco import CocoDataset, DataError, Malformed, Photo
from detection_core.datasets.images import picture_problem
from detection_core.models.catalog import Task


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a photo, or with one of its annotations.

    Attributes:
        image_id: COCO's image id; None where an unusable entry does not tell.
        file_name: The picture's file name; empty if no image has that id.
        annotation_id: COCO's annotation id, or None if the photo as a whole is concerned.
        problem: What is wrong.
        advice: What to do about it.
        entry: Where an unusable entry stands in the file; empty for all others.
    """

    image_id: int | None
    file_name: str
    annotation_id: int | None
    problem: str
    advice: str
    entry: str = ""

    def __str__(self) -> str:
        """All of it in one line."""
        image = f"image {self.image_id} ({self.file_name or 'not in the file'})"
        place = image if self.annotation_id is None else f"{image}, annotation {self.annotation_id}"
        return f"{self.entry or place}: {self.problem}. {self.advice}."


class Remainder(NamedTuple):
    """What is left of a data set without its faults.

    Attributes:
        dataset: The sound part.
        photos_left_out: How many photos are missing in it.
        annotations_left_out: How many annotations, those of left-out photos included.
    """

    dataset: CocoDataset
    photos_left_out: int
    annotations_left_out: int


def check(dataset: CocoDataset, tasks: Collection[Task], *, on_progress: Callable[[int, int], None] | None = None) -> list[Fault]:
    """Lists every fault that would stop training or teach nonsense.

    Entries must have ids and images a size. Pictures must be readable to their last row, of the annotated size, and shown as they are
    stored (no EXIF orientation). Boxes must be XYWH, of a size, and within the picture but for
    one pixel (`annotation_checks.TOLERANCE`), by which training clips them. Categories must be known, ids unique. Segmentations and joints
    are only looked at if `tasks` asks for them: polygons of three points or more, RLEs of the picture's size whose counts add up to it, no
    empty masks; as many joints as the data set names, visibilities 0, 1 or 2, labelled joints within the picture.

    Args:
        dataset: As `read_coco` gives it; check each file before merging, so that ids are those of the file.
        tasks: What will be trained.
        on_progress: Called with the number of photos done and that of all.

    Returns:
        Faults in the order of the photos, then those of annotations without a photo and of unusable entries.
    """
    faults: list[Fault] = []
    uses = Counter(photo.id for photo in dataset.photos)
    seen: set[int] = set()
    # Pillow lets go of the interpreter while it decodes, so threads use all cores.
    pool = ThreadPoolExecutor()
    try:
        for done, (photo, problem) in enumerate(zip(dataset.photos, pool.map(picture_problem, dataset.photos), strict=True), 1):
            of_photo = [problem] if problem else []
            if uses[photo.id] > 1:
                of_photo.append((f"{uses[photo.id]} images have this id", "Give every image an id of its own"))
            faults += [Fault(photo.id, photo.path.name, None, *what) for what in of_photo]
            for annotation in photo.annotations + photo.crowds:
                problems = [*_repeated_id(annotation, seen), *annotation_problems(annotation, photo, dataset, tasks)]
                faults += [Fault(photo.id, photo.path.name, annotation["id"], *what) for what in problems]
            if on_progress is not None:
                on_progress(done, len(dataset.photos))
    finally:
        pool.shutdown(cancel_futures=True)
    advice = "Add the image, or remove the annotation"
    # The fault of an unusable image stands for those of its annotations.
    unusable = {entry.image_id for entry in dataset.malformed if entry.part == "images"}
    lost = [entry for entry in dataset.orphans if entry["image_id"] not in unusable]
    faults += [Fault(entry["image_id"], "", entry["id"], "its image is not in the file", advice) for entry in lost]
    return faults + [_fault(entry) for entry in dataset.malformed]


def without_faults(dataset: CocoDataset, faults: Iterable[Fault]) -> Remainder:
    """The data set without faulty annotations and photos.

    A photo that loses all its annotations is left out too, as it would teach that nothing is there; one that loses some counts as
    partly labelled.

    Args:
        dataset: The data set that was checked.
        faults: What `check` found in it.

    Raises:
        DataError: If no photo is left.
    """
    faults = list(faults)
    photo_ids = {fault.image_id for fault in faults if fault.annotation_id is None and not fault.entry}
    # An unusable annotation is in no photo's list, but what it was to label is on the photo.
    unlabelled = {entry.image_id for entry in dataset.malformed}
    annotation_ids = {(fault.image_id, fault.annotation_id) for fault in faults}

    def sound(annotations: tuple[dict[str, Any], ...], photo: Photo) -> tuple[dict[str, Any], ...]:
        return tuple(annotation for annotation in annotations if (photo.id, annotation["id"]) not in annotation_ids)

    photos = []
    for photo in dataset.photos:
        annotations = sound(photo.annotations, photo)
        loses = photo.id in unlabelled or len(annotations) < len(photo.annotations)
        if photo.id in photo_ids or (loses and not annotations):
            continue
        photos.append(replace(photo, annotations=annotations, crowds=sound(photo.crowds, photo), partial=photo.partial or loses))
    if not photos:
        raise DataError("Every photo is faulty, so none is left to train on. Mend the faults that were listed.")
    left = replace(dataset, photos=tuple(photos), orphans=(), malformed=())
    return Remainder(left, _count_photos(dataset) - len(photos), _count_annotations(dataset) - _count_annotations(left))


def _count_photos(dataset: CocoDataset) -> int:
    return len(dataset.photos) + sum(entry.part == "images" for entry in dataset.malformed)


def _count_annotations(dataset: CocoDataset) -> int:
    malformed = sum(entry.part == "annotations" for entry in dataset.malformed)
    return sum(len(photo.annotations) + len(photo.crowds) for photo in dataset.photos) + len(dataset.orphans) + malformed


def _fault(entry: Malformed) -> Fault:
    place = f'entry {entry.position} of "{entry.part}" (counted from 0)'
    return Fault(entry.image_id, "", None, entry.problem, "Add what is missing, or remove the entry", place)


def _repeated_id(annotation: dict[str, Any], seen: set[int]) -> Iterator[Problem]:
    if annotation["id"] in seen:
        yield "another annotation has this id", "Give every annotation an id of its own"
    seen.add(annotation["id"])
