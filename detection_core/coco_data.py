"""COCO-format photos and annotations as torchvision's training pairs: an image tensor and a target dict, jointly augmented."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance
from torch import Tensor

# COCO-17: where each joint's twin on the other side of the body is; the nose is its own.
FLIPPED_JOINTS = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
_MIN_BOX_SIDE = 3.0
_MIN_VISIBLE_FRACTION = 0.3
_BACKGROUND_TRIES = 20
_BACKGROUND_PARTS = (0.25, 0.7)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training photo. Sizes are pixels of the tensor that the model sees.

    Attributes:
        min_size: Range from which the shorter side's length is drawn.
        max_size: Bound on the longer side.
        crop: Probability that only a part of the photo is taken.
        min_crop: Smallest part of either side that a crop keeps.
        background: Probability that, where there is room, the crop shows nobody: photos chosen for their people hold few of the
            things that are mistaken for people.
        stretch: Aspect ratios are multiplied by a factor from `1 / stretch` to `stretch`.
        flip: Probability of a mirror image.
        photometric: Brightness, contrast and saturation change by up to this fraction.
    """

    min_size: tuple[int, int] = (256, 352)
    max_size: int = 448
    crop: float = 0.5
    min_crop: float = 0.5
    background: float = 0.0
    stretch: float = 1.15
    flip: float = 0.5
    photometric: float = 0.3


@dataclass(frozen=True)
class CocoPhoto:
    """One photo and the annotations of its people that are not crowds."""

    path: Path
    size: tuple[int, int]
    has_masks: bool
    annotations: list[dict[str, Any]] = field(default_factory=list)


def read_coco(folder: Path) -> list[CocoPhoto]:
    """Reads `annotations.json` beside `images/`.

    Args:
        folder: A folder in COCO's format. An image may say `has_masks`; where it does not, the polygons of its annotations do.

    Returns:
        The photos, in the file's order; `size` is (width, height).
    """
    data = json.loads((folder / "annotations.json").read_text())
    by_image = defaultdict(list)
    for annotation in data["annotations"]:
        if not annotation.get("iscrowd"):
            by_image[annotation["image_id"]].append(annotation)
    return [
        CocoPhoto(
            path=folder / "images" / image["file_name"],
            size=(image["width"], image["height"]),
            has_masks=image.get("has_masks", all(a.get("segmentation") for a in by_image[image["id"]])),
            annotations=by_image[image["id"]],
        )
        for image in data["images"]
    ]


def training_pair(
    photo: CocoPhoto, augmentation: Augmentation, rng: random.Random, *, num_keypoints: int = 17
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loads a photo, augments it, and gives it with its target in torchvision's form.

    Geometry is applied to coordinates and polygons, and masks are painted last, so that nothing is resampled twice.

    Returns:
        The image, float32 [3,H,W] in 0–1, and the target: `boxes` float32 [N,4] XYXY, `labels` int64 [N] (all 1), `keypoints` float32
        [N,K,3] and, where the photo has polygons, `masks` uint8 [N,H,W].
    """
    with Image.open(photo.path) as opened:
        image = opened.convert("RGB")
    left, top, right, bottom = _crop_window(photo, augmentation, rng)
    stretch = augmentation.stretch ** rng.uniform(-1, 1)
    new_width, new_height = _scaled_size((right - left) * stretch, bottom - top, augmentation, rng)
    image = image.resize((new_width, new_height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    flip = rng.random() < augmentation.flip
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(1 + rng.uniform(-1, 1) * augmentation.photometric)

    scale = np.array([new_width / (right - left), new_height / (bottom - top)])

    def moved(points: np.ndarray) -> np.ndarray:
        points = (points - (left, top)) * scale
        if flip:
            points[..., 0] = new_width - points[..., 0]
        return points

    boxes, keypoints, masks = [], [], []
    for annotation in photo.annotations:
        x, y, w, h = annotation["bbox"]
        corners = moved(np.array([[x, y], [x + w, y + h]]))
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        clipped = box.clip(0, (new_width, new_height, new_width, new_height))
        side = clipped[2:] - clipped[:2]
        if side.min() < _MIN_BOX_SIDE or side.prod() < _MIN_VISIBLE_FRACTION * (box[2:] - box[:2]).prod():
            continue
        boxes.append(clipped)
        keypoints.append(_joints(annotation, num_keypoints, moved, flip, (new_width, new_height)))
        if photo.has_masks:
            masks.append(_painted([moved(np.array(p, float).reshape(-1, 2)) for p in annotation["segmentation"]], (new_width, new_height)))

    target = {
        "boxes": torch.tensor(np.array(boxes, np.float32).reshape(-1, 4)),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "keypoints": torch.tensor(np.array(keypoints, np.float32).reshape(-1, num_keypoints, 3)),
    }
    if photo.has_masks:
        target["masks"] = torch.tensor(np.array(masks, np.uint8).reshape(-1, new_height, new_width))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
    return pixels, target


def _crop_window(photo: CocoPhoto, augmentation: Augmentation, rng: random.Random) -> tuple[float, float, float, float]:
    width, height = photo.size
    if rng.random() < augmentation.background:
        for _ in range(_BACKGROUND_TRIES):
            window = _random_window(width, height, _BACKGROUND_PARTS, rng)
            if not any(_overlap(window, annotation["bbox"]) for annotation in photo.annotations):
                return window
    if rng.random() < augmentation.crop:
        return _random_window(width, height, (augmentation.min_crop, 1), rng)
    return 0.0, 0.0, float(width), float(height)


def _random_window(width: int, height: int, parts: tuple[float, float], rng: random.Random) -> tuple[float, float, float, float]:
    crop_width, crop_height = (side * rng.uniform(*parts) for side in (width, height))
    left, top = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
    return left, top, left + crop_width, top + crop_height


def _overlap(window: tuple[float, float, float, float], bbox: list[float]) -> bool:
    x, y, w, h = bbox
    return x < window[2] and y < window[3] and x + w > window[0] and y + h > window[1]


def _scaled_size(width: float, height: float, augmentation: Augmentation, rng: random.Random) -> tuple[int, int]:
    factor = rng.uniform(*augmentation.min_size) / min(width, height)
    factor = min(factor, augmentation.max_size / max(width, height))
    return max(32, round(width * factor)), max(32, round(height * factor))


def _joints(annotation: dict[str, Any], num_keypoints: int, moved: Any, flip: bool, size: tuple[int, int]) -> np.ndarray:
    if not annotation.get("num_keypoints"):
        return np.zeros((num_keypoints, 3))
    joints = np.array(annotation["keypoints"], float).reshape(num_keypoints, 3)
    joints[:, :2] = moved(joints[:, :2])
    outside = ((joints[:, :2] < 0) | (joints[:, :2] >= size)).any(axis=1)
    joints[outside | (joints[:, 2] == 0)] = 0
    return joints[list(FLIPPED_JOINTS)] if flip else joints


def _painted(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for polygon in polygons:
        if len(polygon) >= 3:
            draw.polygon([tuple(point) for point in polygon], fill=1)
    return np.array(mask)
