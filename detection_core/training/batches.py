"""Which photos make a batch, in which order, and how worker processes make training pairs of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from detection_core.datasets.coco import CocoDataset, Photo
from detection_core.models.catalog import Task
from detection_core.training.augmentation import training_pair
from detection_core.training.recipe import Augmentation, Recipe

Pair = tuple[Tensor, dict[str, Tensor]]
# A prime, so that the seeds of different runs, epochs and batches do not fall together.
SEED_STRIDE = 1_000_003


def batches_of(data: CocoDataset, recipe: Recipe, epoch: int, tasks: Sequence[Task]) -> list[list[tuple[Photo, int]]]:
    """The batches of an epoch, of all processes, in order: a pure function of its arguments.

    Each batch is of one kind: photos with masks, without masks, or partially labelled, because torchvision computes a loss for all photos
    of a batch or for none. Photos left over at the end of a kind are filled up with others of it.

    Returns:
        Batches of photos, each with the seed of its augmentation.
    """
    rng = random.Random(recipe.seed + SEED_STRIDE * epoch)
    kinds: dict[tuple[bool, bool], list[Photo]] = {}
    for photo in data.photos:
        kinds.setdefault((photo.partial, photo.has_masks and "masks" in tasks), []).append(photo)
    batches = []
    for (_, has_masks), photos in sorted(kinds.items()):
        rounds = recipe.repeat_masks if has_masks and len(kinds) > 1 else 1
        queue = [photo for _ in range(rounds) for photo in rng.sample(photos, len(photos))]
        queue += rng.choices(photos, k=-len(queue) % recipe.batch_size)
        batches += [queue[start : start + recipe.batch_size] for start in range(0, len(queue), recipe.batch_size)]
    rng.shuffle(batches)
    return [[(photo, rng.getrandbits(48)) for photo in batch] for batch in batches]


class Pairs(Dataset[Pair]):
    """What a worker process needs to make a training pair of a photo and a seed; `batches_of` gives both."""

    def __init__(self, data: CocoDataset, augmentation: Augmentation, tasks: Sequence[Task]) -> None:
        self._data, self._augmentation, self._tasks = replace(data, photos=()), augmentation, tuple(tasks)

    def __getitem__(self, item: tuple[Photo, int]) -> Pair:
        photo, seed = item
        image, target = training_pair(photo, self._data, self._augmentation, seed, self._tasks)
        return image, {**target, "partial": torch.tensor(True)} if photo.partial else target


def unzip(pairs: Sequence[Pair]) -> tuple[tuple[Tensor, ...], tuple[dict[str, Tensor], ...]]:
    """Pairs to images and targets, as torchvision takes them: not stacked, each has its own size."""
    images, targets = zip(*pairs, strict=True)
    return images, targets
