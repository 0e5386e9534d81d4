"""Makes a training set of persons of annotations with many classes: chosen backgrounds, and photos stretched back into their shape."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core import Detector, load_image
from detection_core.datasets.coco import Photo, read_coco
from detection_core.models.catalog import PERSON_MODEL
from detection_core.models.checkpoint import COCO_KEYPOINT_NAMES

PERSON = "person"
# The longer side of nearly all of COCO's photos, in pixels.
USUAL_SIDE = 640
ORIGINAL_SIDES = np.arange(200, USUAL_SIDE + 1)
# Half a unit in the last digit that joints are written with, and a little for binary numbers.
ROUNDING = 0.0505
# With fewer, lengths fit by chance.
FEWEST_JOINTS = 6


def original_side(positions: NDArray[np.float64], side: int) -> int | None:
    """Tells how long a photo's side was before it was scaled: annotators set joints on whole pixels, and the scaled ones remember.

    Args:
        positions: Joints along one axis, [N], in pixels of the scaled photo, rounded to a tenth.
        side: The scaled photo's length along it.

    Returns:
        The length of which all joints were whole pixels; of several COCO's usual one, or None if that is not among them.
    """
    whole = np.rint(positions[:, None] * ORIGINAL_SIDES / side)
    missed_by = np.abs(positions[:, None] - whole * side / ORIGINAL_SIDES).max(axis=0)
    fitting = ORIGINAL_SIDES[missed_by <= ROUNDING].tolist()
    return USUAL_SIDE if USUAL_SIDE in fitting else fitting[0] if len(fitting) == 1 else None


def true_size(photo: Photo) -> tuple[int, int] | None:
    """The size of a squeezed photo in its original shape, with the shorter side as long as before; None where nobody can tell."""
    joints = np.array([a["keypoints"] for a in photo.annotations if any(a.get("keypoints", ()))], np.float64).reshape(-1, 3)
    joints = joints[joints[:, 2] > 0]
    if len(joints) < FEWEST_JOINTS:
        return None
    width, height = (original_side(joints[:, axis], photo.size[axis]) for axis in (0, 1))
    if width is None or height is None:
        return None
    scale = min(photo.size) / min(width, height)
    return round(width * scale), round(height * scale)


def only_persons(file: Path) -> Iterator[Photo]:
    """The photos of a file in COCO's format with their persons; `has_masks` says whether every person has an outline."""
    data = read_coco(file)
    person = data.category_ids[data.categories.index(PERSON)]
    for photo in data.photos:
        objects = tuple(a for a in photo.annotations if a["category_id"] == person)
        crowds = tuple(a for a in photo.crowds if a["category_id"] == person)
        has_masks = bool(objects) and all(a.get("segmentation") for a in objects)
        yield Photo(photo.id, photo.path, photo.size, objects, crowds, has_masks)


def most_mistaken(photos: Sequence[Photo], count: int) -> list[Photo]:
    """The photos without persons in which the shipped model is surest to see one."""
    detector = Detector(PERSON_MODEL)
    scores = {photo.id: float(max(detector.detect(load_image(photo.path)).scores, default=0.0)) for photo in photos}
    chosen = sorted(photos, key=lambda photo: scores[photo.id], reverse=True)[:count]
    if chosen:
        print(f"{len(chosen)} of {len(photos)} photos without persons, in which one was seen at {scores[chosen[-1].id]:.2f} or more")
    return chosen


def stretched(annotation: dict[str, Any], x: float, y: float) -> dict[str, Any]:
    """An annotation of a photo whose width and height are multiplied."""
    left, top, width, height = annotation["bbox"]
    joints = np.reshape(annotation.get("keypoints", []), (-1, 3)) * (x, y, 1)
    return {
        **{name: value for name, value in annotation.items() if name != "segmentation"},
        "bbox": [round(value, 2) for value in (left * x, top * y, width * x, height * y)],
        "area": round(annotation.get("area", width * height) * x * y, 2),
        **({"keypoints": [round(value, 1) for value in joints.ravel().tolist()]} if len(joints) else {}),
    }


class Folder:
    """A data set in COCO's format that grows on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        (path / "images").mkdir(parents=True)

    def add(self, photo: Photo, size: tuple[int, int] | None = None) -> None:
        """Takes a photo in, as it is or stretched to another size."""
        target = self.path / "images" / photo.path.name
        if size is None or size == photo.size:
            target.symlink_to(photo.path.resolve())
            objects = list(photo.annotations + photo.crowds)
        else:
            with Image.open(photo.path) as opened:
                opened.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(target, quality=95)
            factors = size[0] / photo.size[0], size[1] / photo.size[1]
            objects = [stretched(annotation, *factors) for annotation in photo.annotations + photo.crowds]
        width, height = size or photo.size
        # What is stretched comes without outlines.
        has_masks = photo.has_masks and (width, height) == photo.size
        entry = {"id": photo.id, "file_name": photo.path.name, "width": width, "height": height, "has_masks": has_masks}
        self.images.append(entry)
        self.annotations += [{**a, "id": len(self.annotations) + i, "category_id": 1} for i, a in enumerate(objects, 1)]

    def write(self) -> None:
        """Writes the annotations."""
        categories = [{"id": 1, "name": PERSON, "keypoints": list(COCO_KEYPOINT_NAMES)}]
        content = {"images": self.images, "annotations": self.annotations, "categories": categories}
        (self.path / "annotations.json").write_text(json.dumps(content))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="JSON", help="all objects of all classes, in COCO's format")
    parser.add_argument("--squeezed", type=Path, nargs="+", default=[], metavar="JSON", help="the same of photos that lost their shape")
    parser.add_argument("--without", type=Path, nargs="+", default=[], metavar="JSON", help="files whose photos are to be left out")
    parser.add_argument("--background", type=int, default=1000, metavar="N", help="photos without persons to take (default: 1000)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    photos: dict[str, list[Photo]] = defaultdict(list)
    taboo = {photo.path.name for file in args.without for photo in read_coco(file).photos}
    folder = Folder(args.out)
    for file in args.data + args.squeezed:
        for photo in only_persons(file):
            if photo.path.name in taboo:
                continue
            kind = "background" if not photo.annotations + photo.crowds else "squeezed" if file in args.squeezed else "whole"
            photos[kind].append(photo)
    for photo in photos["whole"]:
        folder.add(photo)
    mended = [(photo, size) for photo in photos["squeezed"] if (size := true_size(photo))]
    for photo, size in mended:
        folder.add(photo, size)
    for photo in most_mistaken(photos["background"], args.background):
        folder.add(photo)
    folder.write()
    masked = [photo for photo in photos["whole"] if photo.has_masks]
    persons = sum(len(photo.annotations) for photo in masked)
    print(f"{len(photos['whole'])} photos with persons, {len(masked)} of them with all outlines ({persons} persons)")
    print(f"{len(mended)} of {len(photos['squeezed'])} squeezed photos in their shape again")


if __name__ == "__main__":
    main()
