"""Which images make a batch, in which order, and how worker processes make training pairs of them."""

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
# A prime, so that the seeds of different runs, epochs and batches do not fall together.
SEED_STRIDE = 1_000_003


def batches_of(data: CocoDataset, recipe: Recipe, epoch: int, tasks: Sequence[Task]) -> list[list[tuple[AnnotatedImage, int]]]:
    """The batches of an epoch, of all processes, in order: a pure function of its arguments.

    Each batch is of one kind: images with masks, without masks, or partially labeled, because torchvision computes a loss for all images
    of a batch or for none. Images left over at the end of a kind are filled up with others of it.

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
    """What a worker process needs to make a training pair of an image and a seed; `batches_of` gives both."""

    def __init__(self, data: CocoDataset, augmentation: Augmentation, tasks: Sequence[Task]) -> None:
        self._data, self._augmentation, self._tasks = replace(data, images=()), augmentation, tuple(tasks)

    def __getitem__(self, item: tuple[AnnotatedImage, int]) -> TrainingExample:
        record, seed = item
        image, target = training_pair(record, self._data, self._augmentation, seed, self._tasks)
        return image, {**target, "partial": torch.tensor(True)} if record.partial else target


def collate_fn(pairs: Sequence[TrainingExample]) -> tuple[tuple[Tensor, ...], tuple[dict[str, Tensor], ...]]:
    """Pairs to images and targets, as torchvision takes them: not stacked, each has its own size."""
    images, targets = zip(*pairs, strict=True)
    return images, targets
