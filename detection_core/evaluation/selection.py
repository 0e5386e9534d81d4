"""Chooses the classes of a data set that are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from detection_core.datasets.coco import CocoDataset
from detection_core.datasets.normalization import Entry
from detection_core.evaluation.errors import EvaluationError


def only_classes(dataset: CocoDataset, names: Sequence[str]) -> CocoDataset:
    """Returns the data set with some of its classes; all images stay, also those without objects of these classes.

    Args:
        dataset: The data set.
        names: Names of its classes.

    Raises:
        EvaluationError: If it does not have one of them.
    """
    if unknown := [name for name in names if name not in dataset.categories[1:]]:
        raise EvaluationError(f"The data has no class “{unknown[0]}”. Its classes are {', '.join(dataset.categories[1:])}.")
    labels = [label for label, name in enumerate(dataset.categories) if label and name in names]
    ids = {dataset.category_ids[label] for label in labels}

    def chosen(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return tuple(entry for entry in entries if entry["category_id"] in ids)

    return replace(
        dataset,
        images=tuple(replace(image, annotations=chosen(image.annotations), crowds=chosen(image.crowds)) for image in dataset.images),
        categories=(dataset.categories[0], *(dataset.categories[label] for label in labels)),
        category_ids=(0, *(dataset.category_ids[label] for label in labels)),
    )
