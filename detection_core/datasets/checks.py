"""Finds all faults of a data set in one pass before training starts, and removes the faulty parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from detection_core.datasets.annotation_checks import Problem, annotation_problems
from detection_core.datasets.coco import AnnotatedImage, CocoDataset, DataError, Malformed
from detection_core.datasets.images import image_problem
from detection_core.datasets.normalization import one_line
from detection_core.models.catalog import Task


@dataclass(frozen=True)
class Fault:
    """A fault of an image or of one of its annotations.

    Attributes:
        image_id: COCO's image id; None if an unusable entry has none.
        file_name: The image's file name as the annotations have it; empty if no image has that id.
        annotation_id: COCO's annotation id, or None if the image as a whole is concerned.
        problem: The problem.
        advice: The remedy.
        entry: The position of an unusable entry in the file; empty for all others.
    """

    image_id: int | None
    file_name: str
    annotation_id: int | None
    problem: str
    advice: str
    entry: str = ""

    def __str__(self) -> str:
        """Formats the fault in one line."""
        image = f"image {self.image_id} ({one_line(self.file_name) or 'not in the file'})"
        place = image if self.annotation_id is None else f"{image}, annotation {self.annotation_id}"
        return f"{self.entry or place}: {self.problem}. {self.advice}."


class Remainder(NamedTuple):
    """A data set without its faulty parts.

    Attributes:
        dataset: The part without faults.
        images_left_out: The number of images left out.
        annotations_left_out: The number of annotations left out, including those of left-out images.
    """

    dataset: CocoDataset
    images_left_out: int
    annotations_left_out: int


def check(dataset: CocoDataset, tasks: Collection[Task], *, on_progress: Callable[[int, int], None] | None = None) -> list[Fault]:
    """Lists the faults that would stop training or make the model learn wrong targets.

    Entries must have ids and images a size. Images must be readable to their last row, of the annotated size, and without an EXIF
    orientation. Boxes must be XYWH, not empty, and within the image up to a tolerance of one pixel
    (`annotation_checks.TOLERANCE`), by which training clips them. Categories must be known, ids unique. Segmentations and
    keypoints are only checked if `tasks` contains them: polygons of three points or more, RLEs of the image's size whose counts add up to
    it, no empty masks; as many keypoints as the data set names, visibilities 0, 1 or 2, labeled keypoints within the image.

    Args:
        dataset: The result of `read_coco`; check each file before merging, so that ids are those of the file.
        tasks: The tasks to be trained.
        on_progress: Called with the number of images done and their total.

    Returns:
        Faults in the order of the images, then those of annotations without an image and of unusable entries.
    """
    faults: list[Fault] = []
    uses = Counter(image.id for image in dataset.images)
    seen: set[int] = set()
    # Pillow releases the GIL while it decodes, so threads use all cores.
    pool = ThreadPoolExecutor()
    try:
        for done, (image, problem) in enumerate(zip(dataset.images, pool.map(image_problem, dataset.images), strict=True), 1):
            of_image = [problem] if problem else []
            if uses[image.id] > 1:
                of_image.append((f"{uses[image.id]} images have this id", "Give every image a unique id"))
            name = image.file_name or image.path.name
            faults += [Fault(image.id, name, None, *what) for what in of_image]
            for annotation in image.annotations + image.crowds:
                problems = [*_repeated_id(annotation, seen), *annotation_problems(annotation, image, dataset, tasks)]
                faults += [Fault(image.id, name, annotation["id"], *what) for what in problems]
            if on_progress is not None:
                on_progress(done, len(dataset.images))
    finally:
        pool.shutdown(cancel_futures=True)
    advice = "Add the image, or remove the annotation"
    # The fault of an unusable image is reported once, not again for its annotations.
    unusable = {entry.image_id for entry in dataset.malformed if entry.part == "images"}
    lost = [entry for entry in dataset.orphans if entry["image_id"] not in unusable]
    faults += [Fault(entry["image_id"], "", entry["id"], "its image is not in the file", advice) for entry in lost]
    return faults + [_fault(entry) for entry in dataset.malformed if not entry.is_covered]


def without_faults(dataset: CocoDataset, faults: Iterable[Fault]) -> Remainder:
    """Removes faulty annotations and images from a data set.

    An image that loses all its annotations is left out too, because it would count as an image without objects; one that loses some
    counts as partly labeled.

    Args:
        dataset: The data set that was checked.
        faults: The result of `check`.

    Raises:
        DataError: If no image is left.
    """
    faults = list(faults)
    image_ids = {fault.image_id for fault in faults if fault.annotation_id is None and not fault.entry}
    # An unusable annotation is in no image's list, but its object is in the image.
    unlabeled = {entry.image_id for entry in dataset.malformed}
    annotation_ids = {(fault.image_id, fault.annotation_id) for fault in faults}

    def sound(annotations: tuple[dict[str, Any], ...], image: AnnotatedImage) -> tuple[dict[str, Any], ...]:
        return tuple(annotation for annotation in annotations if (image.id, annotation["id"]) not in annotation_ids)

    images = []
    for image in dataset.images:
        annotations = sound(image.annotations, image)
        loses = image.id in unlabeled or len(annotations) < len(image.annotations)
        if image.id in image_ids or (loses and not annotations):
            continue
        images.append(replace(image, annotations=annotations, crowds=sound(image.crowds, image), partial=image.partial or loses))
    if not images:
        raise DataError("Every image is faulty, so none is left. Correct the listed faults.")
    left = replace(dataset, images=tuple(images), orphans=(), malformed=())
    return Remainder(left, _count_images(dataset) - len(images), _count_annotations(dataset) - _count_annotations(left))


def _count_images(dataset: CocoDataset) -> int:
    return len(dataset.images) + sum(entry.part == "images" for entry in dataset.malformed)


def _count_annotations(dataset: CocoDataset) -> int:
    malformed = sum(entry.part == "annotations" for entry in dataset.malformed)
    return sum(len(image.annotations) + len(image.crowds) for image in dataset.images) + len(dataset.orphans) + malformed


def _fault(entry: Malformed) -> Fault:
    place = entry.place or f'entry {entry.position} of "{entry.part}" (counted from 0)'
    return Fault(entry.image_id, "", None, entry.problem, "Add what is missing, or remove the entry", place)


def _repeated_id(annotation: dict[str, Any], seen: set[int]) -> Iterator[Problem]:
    if annotation["id"] in seen:
        yield "another annotation has this id", "Give every annotation a unique id"
    seen.add(annotation["id"])
