"""Makes torchvision's training pairs: an image and its target, randomly augmented together."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.transforms.v2 import functional
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat, KeyPoints, Mask

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.datasets.images import read_part
from detection_core.models.catalog import Task
from detection_core.training.recipe import Augmentation

_MIN_SIDE = 32
_MIN_VISIBLE_FRACTION = 0.3
_BACKGROUND_TRIES = 20
_BACKGROUND_PARTS = (0.25, 0.7)
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
# "left" and "right" anywhere in a lower-case name, "l" and "r" only as separate words.
_SIDE = re.compile(r"left|right|(?<![^\W\d_])[lr](?![^\W\d_])")
# Word boundaries in camel case: "eyeL", "LEye".
_WORD_STARTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def training_pair(
    record: AnnotatedImage, dataset: CocoDataset, augmentation: Augmentation, seed: int, tasks: Collection[Task]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loads a record, augments it, and returns it with its target in torchvision's form.

    The same arguments give the same pair; no other random state is read or changed. Polygons and points are transformed before masks
    are drawn, so that nothing is resampled twice. Objects of which a crop leaves less than 30 % of the box are left out. With keypoints
    of which no two are known as a left-right pair (see `mirrored_keypoints`), images are never mirrored.

    Args:
        record: An image of the data set, without faults (see `checks`).
        dataset: The data set with the labels and keypoints.
        augmentation: The possible changes.
        seed: Seed of the changes.
        tasks: The targets to make.

    Returns:
        The image, float32 [3,H,W] in 0–1, and the target: `boxes` float32 [N,4] XYXY in pixels, `labels` int64 [N], `area` float32 [N]
        (pixels of the mask, or of the box if there is none), `iscrowd` int64 [N] (all 0), `image_id` int64 []; `masks` uint8 [N,H,W]
        in 0/1 if `tasks` contains them and the record has them; `keypoints` float32 [N,K,3] (x, y, visibility 0/1/2; zeros if not
        labeled) if `tasks` contains them.

    Raises:
        ImageError: If the image cannot be read, or is not complete.
    """
    rng = random.Random(seed)
    view = _random_view(record, augmentation, rng)
    image = _recolored(read_part(record, view.window, view.size), augmentation, rng)
    annotations, boxes = _objects_in_view(record, view, augmentation.min_box_side)
    keypoint_names = dataset.keypoint_names if "keypoints" in tasks else ()
    keypoints = _keypoints(annotations, len(keypoint_names), view)
    visibility = keypoints[..., 2:]
    parts: dict[str, Tensor] = {
        "image": functional.to_image(image),
        "boxes": BoundingBoxes(boxes, format=BoundingBoxFormat.XYXY, canvas_size=view.canvas),
        # v2 mirrors points as pixel indices (x to W − 1 − x); boxes and torchvision's detectors measure from the image's edge.
        "keypoints": KeyPoints(keypoints[..., :2] - 0.5, canvas_size=view.canvas),
    }
    if "masks" in tasks and record.has_masks:
        parts["masks"] = Mask(_masks(annotations, view))
    counterparts = mirrored_keypoints(keypoint_names)
    # Names may not show the sides, and a mirrored left keypoint under its old name would be a wrong target.
    sides_known = not counterparts or counterparts != sorted(counterparts)
    if sides_known and rng.random() < augmentation.flip:
        parts = {name: functional.horizontal_flip(part) for name, part in parts.items()}
        parts["keypoints"], visibility = parts["keypoints"][:, counterparts], visibility[:, counterparts]
    target = {name: part.as_subclass(Tensor).contiguous() for name, part in parts.items()}
    pixels = functional.to_dtype(target.pop("image"), torch.float32, scale=True)
    points = target.pop("keypoints") + 0.5
    if "keypoints" in tasks:
        target["keypoints"] = torch.cat([points * (visibility > 0), visibility], dim=-1)
    labels = [dataset.labels[annotation["category_id"]] for annotation in annotations]
    sides = target["boxes"][:, 2:] - target["boxes"][:, :2]
    return pixels, {
        **target,
        "labels": torch.tensor(labels, dtype=torch.int64),
        "area": target["masks"].sum((1, 2), dtype=torch.float32) if "masks" in target else sides.prod(dim=1),
        "iscrowd": torch.zeros(len(labels), dtype=torch.int64),
        "image_id": torch.tensor(record.id, dtype=torch.int64),
    }


def mirrored_keypoints(names: Sequence[str]) -> list[int]:
    """Returns the index of each keypoint's counterpart on the other side of the body, or its own index if there is none.

    Sides are "left" and "right" anywhere in a name, or "l" and "r" as separate words: "l_eye", "Ear-R", "kneeL".
    """
    plain = [_WORD_STARTS.sub("_", name).lower() for name in names]
    index = {name: i for i, name in enumerate(plain)}
    return [index.get(_SIDE.sub(lambda side: _OTHER_SIDE[side[0]], name), i) for i, name in enumerate(plain)]


@dataclass(frozen=True)
class _View:
    """The visible part of the image (left, top, right, bottom), and the (width, height) to which it is scaled."""

    window: tuple[float, float, float, float]
    size: tuple[int, int]

    @property
    def canvas(self) -> tuple[int, int]:
        return self.size[1], self.size[0]

    @property
    def scale(self) -> tuple[float, float]:
        left, top, right, bottom = self.window
        return self.size[0] / (right - left), self.size[1] / (bottom - top)

    def moved(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Converts points [...,2] of the image to the view's pixels."""
        return (points - self.window[:2]) * self.scale


def _random_view(image: AnnotatedImage, augmentation: Augmentation, rng: random.Random) -> _View:
    window = _random_window(image, augmentation, rng)
    width, height = window[2] - window[0], window[3] - window[1]
    width *= augmentation.stretch ** rng.uniform(-1, 1)
    if augmentation.min_size is None:
        return _View(window, (max(1, round(width)), max(1, round(height))))
    factor = min(rng.uniform(*augmentation.min_size) / min(width, height), augmentation.max_size / max(width, height))
    return _View(window, (max(_MIN_SIDE, round(width * factor)), max(_MIN_SIDE, round(height * factor))))


def _random_window(image: AnnotatedImage, augmentation: Augmentation, rng: random.Random) -> tuple[float, float, float, float]:
    if not image.partial and rng.random() < augmentation.background:
        for _ in range(_BACKGROUND_TRIES):
            window = _part_of(image.size, _BACKGROUND_PARTS, rng)
            if not any(_overlap(window, annotation["bbox"]) for annotation in image.annotations + image.crowds):
                return window
    if rng.random() < augmentation.crop:
        return _part_of(image.size, (augmentation.min_crop, 1), rng)
    return 0.0, 0.0, float(image.size[0]), float(image.size[1])


def _part_of(size: tuple[int, int], parts: tuple[float, float], rng: random.Random) -> tuple[float, float, float, float]:
    width, height = (side * rng.uniform(*parts) for side in size)
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def _overlap(window: tuple[float, float, float, float], bbox: Sequence[float]) -> bool:
    x, y, width, height = bbox
    return x < window[2] and y < window[3] and x + width > window[0] and y + height > window[1]


def _recolored(image: Image.Image, augmentation: Augmentation, rng: random.Random) -> Image.Image:
    if augmentation.photometric:
        for adjust in (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation):
            image = adjust(image, 1 + rng.uniform(-1, 1) * augmentation.photometric)
    return functional.adjust_hue(image, rng.uniform(-1, 1) * augmentation.hue) if augmentation.hue else image


def _objects_in_view(image: AnnotatedImage, view: _View, min_side: float) -> tuple[list[dict[str, Any]], Tensor]:
    """Returns the visible annotations, and their boxes [N,4] clipped to the view."""
    corners = np.array([annotation["bbox"] for annotation in image.annotations], np.float64).reshape(-1, 2, 2)
    corners[:, 1] += corners[:, 0]
    corners = view.moved(corners)
    clipped = corners.clip(0, view.size).astype(np.float32)
    sides = clipped[:, 1] - clipped[:, 0]
    visible = sides.prod(axis=1) >= _MIN_VISIBLE_FRACTION * (corners[:, 1] - corners[:, 0]).prod(axis=1)
    kept = np.flatnonzero(visible & (sides >= min_side).all(axis=1) & (sides > 0).all(axis=1))
    return [image.annotations[i] for i in kept], torch.from_numpy(clipped[kept].reshape(-1, 4))


def _keypoints(annotations: Sequence[dict[str, Any]], count: int, view: _View) -> Tensor:
    """Returns the keypoints [N,K,3] in the view; those outside it are not labeled."""
    keypoints = np.zeros((len(annotations), count, 3))
    for of_object, annotation in zip(keypoints, annotations, strict=True):
        if count and annotation.get("keypoints"):
            of_object[:] = np.reshape(annotation["keypoints"], (count, 3))
    keypoints[..., :2] = view.moved(keypoints[..., :2])
    inside = ((keypoints[..., :2] >= 0) & (keypoints[..., :2] < view.size)).all(axis=-1)
    keypoints[~inside] = 0
    return torch.from_numpy(keypoints.astype(np.float32))


def _masks(annotations: Sequence[dict[str, Any]], view: _View) -> Tensor:
    masks = [_mask(annotation["segmentation"], view) for annotation in annotations]
    return torch.from_numpy(np.stack(masks)) if masks else torch.zeros((0, *view.canvas), dtype=torch.uint8)


def _mask(segmentation: Any, view: _View) -> NDArray[np.uint8]:
    if isinstance(segmentation, list):
        polygons = [view.moved(np.array(polygon, np.float64).reshape(-1, 2)).ravel().tolist() for polygon in segmentation]
        drawn: NDArray[np.uint8] = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *view.canvas)))
        return drawn
    compressed = isinstance(segmentation["counts"], str)
    whole = coco_mask.decode(segmentation if compressed else coco_mask.frPyObjects(segmentation, *segmentation["size"]))
    return np.array(Image.fromarray(whole).resize(view.size, Image.Resampling.NEAREST, box=view.window))
