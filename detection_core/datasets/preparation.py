"""From where data is to data that can be trained on: read, checked and divided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from detection_core.datasets.checks import Fault, check, without_faults
from detection_core.datasets.coco import CocoDataset, DataError, merge, read_coco, require_objects, split, with_shared_classes
from detection_core.models.families import Task


class InvalidDataError(DataError):
    """The data set has faults; the message lists them all."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(map(str, faults))
        count = f"{len(faults)} fault{'s' * (len(faults) != 1)}"
        super().__init__(f"{lines}\n{count} in the data. Mend them, or go on without them by --skip-invalid.")


@dataclass(frozen=True)
class TrainingData:
    """Where images and annotations are.

    Attributes:
        train: COCO folders or files to learn from.
        validation: Those to measure on; empty takes a part of the images to learn from.
        partial: Those to learn from in which some objects are not labeled: they teach nothing about background.
        validation_fraction: Which part, where there is no validation data.
        skip_invalid: Leave faulty images and annotations out instead of refusing.
    """

    train: Sequence[Path]
    validation: Sequence[Path] = ()
    partial: Sequence[Path] = ()
    validation_fraction: float = 0.1
    skip_invalid: bool = False


def read_and_check(
    data: TrainingData, tasks: set[Task], seed: int, say: Callable[[str], None], *, optional: Collection[Task] = ()
) -> tuple[CocoDataset, CocoDataset]:
    """Reads and checks all data, and divides it.

    Args:
        data: Where it is.
        tasks: What will be trained.
        seed: Of the division, where there is no validation data.
        say: Takes lines for people.
        optional: Of the tasks, those that are dropped where the data cannot teach them: the set is changed.

    Returns:
        The images to train on and those to measure on.

    Raises:
        DataError: If it cannot be read, or lacks what the tasks need.
        InvalidDataError: If it has faults.
    """
    sources = [(path, False) for path in data.train] + [(path, True) for path in data.partial]
    training = merge([_sound(read_coco(path, partial=partial), tasks, data, say) for path, partial in sources])
    require_objects(training)
    needed: tuple[tuple[Task, bool, str], ...] = (
        ("masks", training.has_masks, "outlines"),
        ("keypoints", training.has_keypoints, "keypoints"),
    )
    for task, there, needs in needed:
        if task in tasks and task in optional and not there:
            say(f"The data has no {needs}, so the model goes without {task}.")
            tasks.discard(task)
        elif task in tasks and not there:
            raise DataError(f"This model learns {needs}, but the data has none. Annotate some, or choose a model without {task}.")
    if not data.validation:
        return split(training, data.validation_fraction, seed)
    validation = merge([_sound(read_coco(path), tasks, data, say) for path in data.validation])
    training, validation = with_shared_classes([training, validation])
    if set(validation.categories) != set(training.categories):
        raise DataError("The validation data has other classes than the training data. Name them alike.")
    if "keypoints" in tasks and validation.keypoint_names not in ((), training.keypoint_names):
        raise DataError("The validation data has other keypoints than the training data, or in another order. List them alike.")
    return training, validation


def _sound(dataset: CocoDataset, tasks: set[Task], data: TrainingData, say: Callable[[str], None]) -> CocoDataset:
    for note in dataset.notes:
        say(note)
    faults = check(dataset, tasks)
    if not faults:
        return dataset
    if not data.skip_invalid:
        raise InvalidDataError(faults)
    for fault in faults:
        say(str(fault))
    left = without_faults(dataset, faults)
    say(f"Going on without {left.images_left_out} images and {left.annotations_left_out} annotations.")
    return left.dataset
