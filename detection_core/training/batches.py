"""Divides an epoch's images into batches, and makes training pairs of them in worker processes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.models.catalog import Task
from detection_core.training.augmentation import training_pair
from detection_core.training.recipe import Augmentation, Recipe

TrainingExample = tuple[Tensor, dict[str, Tensor]]
# A prime, so that the seeds of different runs, epochs and batches do not coincide.
SEED_STRIDE = 1_000_003


def batches_of(data: CocoDataset, recipe: Recipe, epoch: int, tasks: Sequence[Task]) -> list[list[tuple[AnnotatedImage, int]]]:
    """Returns the batches of an epoch for all processes, in order, depending only on the arguments.

    Each batch is of one kind: images with masks, without masks, or partially labeled, because torchvision computes a loss for all images
    of a batch or for none. An incomplete last batch of a kind is filled up with other images of it.

    Returns:
        Batches of images, each with the seed of its augmentation.
    """
    rng = random.Random(recipe.seed + SEED_STRIDE * epoch)
    kinds: dict[tuple[bool, bool], list[AnnotatedImage]] = {}
    for image in data.images:
        kinds.setdefault((image.partial, image.has_masks and "masks" in tasks), []).append(image)
    batches = []
    for (_, has_masks), images in sorted(kinds.items()):
        rounds = recipe.repeat_masks if has_masks and len(kinds) > 1 else 1
        queue = [image for _ in range(rounds) for image in rng.sample(images, len(images))]
        queue += rng.choices(images, k=-len(queue) % recipe.batch_size)
        batches += [queue[start : start + recipe.batch_size] for start in range(0, len(queue), recipe.batch_size)]
    rng.shuffle(batches)
    return [[(image, rng.getrandbits(48)) for image in batch] for batch in batches]


class TrainingExamples(Dataset[TrainingExample]):
    """A data set for worker processes that makes a training pair of an image and a seed from `batches_of`."""

    def __init__(self, data: CocoDataset, augmentation: Augmentation, tasks: Sequence[Task]) -> None:
        self._data, self._augmentation, self._tasks = replace(data, images=()), augmentation, tuple(tasks)

    def __getitem__(self, item: tuple[AnnotatedImage, int]) -> TrainingExample:
        record, seed = item
        image, target = training_pair(record, self._data, self._augmentation, seed, self._tasks)
        return image, {**target, "partial": torch.tensor(True)} if record.partial else target


def collate_fn(pairs: Sequence[TrainingExample]) -> tuple[tuple[Tensor, ...], tuple[dict[str, Tensor], ...]]:
    """Converts pairs to lists of images and targets for torchvision; images are not stacked because their sizes differ."""
    images, targets = zip(*pairs, strict=True)
    return images, targets
