"""Makes tiny folders in COCO's format, of plain shapes that a small model can learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

KEYPOINT_NAMES = ("nose", "left_hand", "right_hand", "left_foot", "right_foot")
# One color a class, for as many classes as there are colors; the noise behind them is dark.
COLORS = ((230, 30, 30), (30, 220, 60), (60, 80, 250), (240, 220, 30), (220, 60, 220), (40, 220, 230))


def coco_folder(
    path: Path,
    images: int = 4,
    *,
    masks: bool = True,
    keypoints: bool = True,
    categories: tuple[str, ...] = ("person", "dog"),
    category_ids: tuple[int, ...] | None = None,
    keypoint_names: tuple[str, ...] = KEYPOINT_NAMES,
    segmentation: Literal["polygons", "rle", "counts"] = "polygons",
    size: tuple[int, int] = (160, 120),
    objects: int = 2,
    empty: int = 0,
    crowds: bool = False,
    suffix: str = ".png",
    seed: int = 0,
) -> Path:
    """Writes `annotations.json` and `entries/` into `path` and returns it.

    Each image shows `objects` filled shapes side by side on dark noise, rectangles for the 1st, 3rd, … class and ellipses for the others,
    colored by class; the first object of all is of the first class, the next of the second, and so on. Pixels of a shape are exactly
    those of its polygon. Keypoints, of the first class only, lie at fixed places of the box: left ones at 3/4 of its width, right ones at
    1/4, others in the middle, pairs at different heights.

    Args:
        path: A folder; made if need be.
        images: How many, with ids 1, 2, … and names 1.png, 2.png, …
        masks: Whether annotations have a segmentation.
        keypoints: Whether the first class has keypoints.
        categories: Class names.
        category_ids: COCO's ids for them; None numbers them from 1.
        keypoint_names: Names of the keypoints.
        segmentation: Polygons, compressed RLE or uncompressed RLE.
        size: (width, height) of the images.
        objects: Shapes on an image.
        empty: How many images, the last ones, show nothing.
        crowds: Whether each image also has a crowd region over all of it; these annotations come last.
        suffix: Of the images' names; ".jpg" changes colors a little.
        seed: Another seed gives other places and sizes.
    """
    ids = category_ids or tuple(range(1, len(categories) + 1))
    rng = np.random.default_rng(seed)
    width, height = size
    (path / "images").mkdir(parents=True, exist_ok=True)
    entries, annotations = [], []
    for number in range(1, images + 1):
        pixels = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for position in range(objects if number <= images - empty else 0):
            kind = ((number - 1) * objects + position) % len(categories)
            polygon = _polygon(kind, _cell(position, objects, size, rng))
            rle = coco_mask.merge(coco_mask.frPyObjects([polygon], height, width))
            pixels[coco_mask.decode(rle).astype(bool)] = COLORS[kind]
            annotation = _annotation(len(annotations) + 1, number, ids[kind], polygon)
            if masks:
                annotation["segmentation"] = _encoded(polygon, rle, segmentation)
            if keypoints and kind == 0:
                annotation |= _keypoints(annotation["bbox"], keypoint_names)
            annotations.append(annotation)
        name = f"{number}{suffix}"
        Image.fromarray(pixels).save(path / "images" / name)
        entries.append({"id": number, "file_name": name, "width": width, "height": height})
    if crowds:
        whole = [0.0, 0.0, width, 0.0, width, height, 0.0, height]
        first = len(annotations) + 1
        annotations += [{**_annotation(first + i, image["id"], ids[0], whole), "iscrowd": 1} for i, image in enumerate(entries)]
    named: list[dict[str, Any]] = [{"id": i, "name": name} for i, name in zip(ids, categories, strict=True)]
    if keypoints:
        named[0]["keypoints"] = list(keypoint_names)
    (path / "annotations.json").write_text(json.dumps({"images": entries, "annotations": annotations, "categories": named}))
    return path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Lets `change` alter the content of the folder's `annotations.json`."""
    file = folder / "annotations.json"
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    return folder


def _cell(position: int, objects: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box x1, y1, x2, y2 of whole numbers in the object's own column."""
    width, height = size[0] // objects, size[1]
    wide, high = int(width * rng.uniform(0.55, 0.85)), int(height * rng.uniform(0.45, 0.85))
    x, y = position * width + int(rng.integers(1, width - wide)), int(rng.integers(1, height - high))
    return x, y, x + wide, y + high


def _polygon(kind: int, box: tuple[int, int, int, int]) -> list[float]:
    x1, y1, x2, y2 = box
    if kind % 2 == 0:
        return [float(value) for value in (x1, y1, x2, y1, x2, y2, x1, y2)]
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    points = np.stack([(x1 + x2) / 2 + (x2 - x1) / 2 * np.cos(angle), (y1 + y2) / 2 + (y2 - y1) / 2 * np.sin(angle)], axis=1)
    return [float(value) for value in points.round(2).ravel()]


def _annotation(number: int, image_id: int, category_id: int, polygon: list[float]) -> dict[str, Any]:
    points = np.reshape(polygon, (-1, 2))
    x, y = points.min(axis=0).tolist()
    width, height = (points.max(axis=0) - (x, y)).tolist()
    box = {"bbox": [x, y, width, height], "area": width * height}
    return {"id": number, "image_id": image_id, "category_id": category_id, "iscrowd": 0, **box}


def _encoded(polygon: list[float], rle: dict[str, Any], form: str) -> Any:
    if form == "polygons":
        return [polygon]
    if form == "rle":
        return {"size": rle["size"], "counts": rle["counts"].decode()}
    flat = coco_mask.decode(rle).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": rle["size"], "counts": [0, *counts] if flat[0] else counts}


def _keypoints(bbox: list[float], names: tuple[str, ...]) -> dict[str, Any]:
    x, y, width, height = bbox
    values: list[float] = []
    for index, name in enumerate(names):
        across = 0.75 if name.startswith("left") else 0.25 if name.startswith("right") else 0.5
        down = 0.1 + 0.8 * ((index + 1) // 2) / (len(names) // 2 + 1)
        values += [round(x + across * width, 2), round(y + down * height, 2), 2]
    return {"keypoints": values, "num_keypoints": len(names)}
