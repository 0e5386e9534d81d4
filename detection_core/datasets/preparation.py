"""Reads, checks and splits the data of a training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from detection_core.datasets.checks import Fault, check, without_faults
from detection_core.datasets.coco import CocoDataset, DataError, merge, read_coco, require_objects, split, with_shared_classes
from detection_core.models.families import Task


class InvalidDataError(DataError):
    """The data set has faults, all of which the message lists."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(map(str, faults))
        count = f"{len(faults)} fault{'s' * (len(faults) != 1)}"
        super().__init__(f"{lines}\n{count} in the data. Correct them, or continue without them by --skip-invalid.")


@dataclass(frozen=True)
class TrainingData:
    """The locations of images and annotations.

    Attributes:
        train: COCO folders or files to train on; of a folder with several parts, `train` is read.
        validation: Those to validate on, of which `val` is read; if empty, a part of the training images is used.
        partial: Those to train on in which some objects are not labeled, so that the background cannot be trained on them.
        validation_fraction: Share of the training images to validate on if there is no validation data.
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
    """Reads, checks and splits all data.

    Args:
        data: The locations of the data.
        tasks: The tasks to be trained.
        seed: Seed of the split if there is no validation data.
        say: Called with lines of progress for the user.
        optional: The tasks that may be dropped if the data has no targets for them; `tasks` is changed in place.

    Returns:
        The training and the validation set.

    Raises:
        DataError: If the data cannot be read, or has no targets for a task.
        InvalidDataError: If the data has faults.
    """
    sources = [(path, False) for path in data.train] + [(path, True) for path in data.partial]
    # A model that learns more is trained on all classes rather than on persons alone.
    keypoints = "keypoints" in tasks and "keypoints" not in optional
    training = merge(
        [
            without_invalid(read_coco(path, partial=partial, usual="train", keypoints=keypoints), tasks, say, skip=data.skip_invalid)
            for path, partial in sources
        ]
    )
    require_objects(training)
    needed: tuple[tuple[Task, bool, str], ...] = (
        ("masks", training.has_masks, "masks"),
        ("keypoints", training.has_keypoints, "keypoints"),
    )
    for task, there, needs in needed:
        if task in tasks and task in optional and not there:
            say(f"The data has no {needs}, so the model is trained without {task}.")
            tasks.discard(task)
        elif task in tasks and not there:
            raise DataError(f"This model learns {needs}, but the data has none. Annotate some, or choose a model without {task}.")
    if not data.validation:
        return split(training, data.validation_fraction, seed)
    validation = merge(
        [without_invalid(read_coco(path, keypoints=keypoints), tasks, say, skip=data.skip_invalid) for path in data.validation]
    )
    training, validation = with_shared_classes([training, validation])
    if set(validation.categories) != set(training.categories):
        raise DataError("The validation data has other classes than the training data. Name them alike.")
    if "keypoints" in tasks and validation.keypoint_names not in ((), training.keypoint_names):
        raise DataError("The validation data has other keypoints than the training data, or another order. Use the same list in both.")
    return training, validation


def without_invalid(dataset: CocoDataset, tasks: Collection[Task], say: Callable[[str], None], *, skip: bool) -> CocoDataset:
    """Checks a data set before it is used.

    Args:
        dataset: The data set as it was read.
        tasks: The tasks for which it is used.
        say: Called with the notes on how it was read and, if they are skipped, with its faults.
        skip: Whether to leave faulty images and annotations out instead of refusing.

    Returns:
        The data set, or what is left of it.

    Raises:
        InvalidDataError: If it has faults that are not skipped.
        DataError: If nothing is left.
    """
    for note in dataset.notes:
        say(note)
    faults = check(dataset, tasks)
    if not faults:
        return dataset
    if not skip:
        raise InvalidDataError(faults)
    for fault in faults:
        say(str(fault))
    left = without_faults(dataset, faults)
    say(f"Going on without {left.images_left_out} images and {left.annotations_left_out} annotations.")
    return left.dataset
