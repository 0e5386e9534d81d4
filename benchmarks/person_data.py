"""Makes a training set of persons from annotations of many classes, with hard negatives, and images restored to their aspect ratio."""

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
from detection_core.datasets.coco import AnnotatedImage, read_coco
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.models.catalog import PERSON_MODEL

PERSON = "person"
# The longer side of nearly all of COCO's images, in pixels.
USUAL_SIDE = 640
ORIGINAL_SIDES = np.arange(200, USUAL_SIDE + 1)
# Half a unit in the last digit of the written keypoints, plus a little for binary rounding.
ROUNDING = 0.0505
# With fewer keypoints, lengths match by chance.
FEWEST_KEYPOINTS = 6


def original_side(positions: NDArray[np.float64], side: int) -> int | None:
    """Infers the original length of a scaled image's side, from the fact that annotators set keypoints on whole pixels.

    Args:
        positions: Keypoints along one axis, [N], in pixels of the scaled image, rounded to a tenth.
        side: The scaled image's length along it.

    Returns:
        The length for which all keypoints were whole pixels; of several COCO's usual one, or None if that is not among them.
    """
    whole = np.rint(positions[:, None] * ORIGINAL_SIDES / side)
    missed_by = np.abs(positions[:, None] - whole * side / ORIGINAL_SIDES).max(axis=0)
    fitting = ORIGINAL_SIDES[missed_by <= ROUNDING].tolist()
    return USUAL_SIDE if USUAL_SIDE in fitting else fitting[0] if len(fitting) == 1 else None


def true_size(image: AnnotatedImage) -> tuple[int, int] | None:
    """Returns the size of a squeezed image in its original aspect ratio, with the same shorter side; None if it is not known."""
    keypoints = np.array([a["keypoints"] for a in image.annotations if any(a.get("keypoints", ()))], np.float64).reshape(-1, 3)
    keypoints = keypoints[keypoints[:, 2] > 0]
    if len(keypoints) < FEWEST_KEYPOINTS:
        return None
    width, height = (original_side(keypoints[:, axis], image.size[axis]) for axis in (0, 1))
    if width is None or height is None:
        return None
    scale = min(image.size) / min(width, height)
    return round(width * scale), round(height * scale)


def only_persons(file: Path) -> Iterator[AnnotatedImage]:
    """Reads the images of a COCO-format file with their persons; `has_masks` says whether every person has a polygon."""
    data = read_coco(file)
    person = data.category_ids[data.categories.index(PERSON)]
    for image in data.images:
        objects = tuple(a for a in image.annotations if a["category_id"] == person)
        crowds = tuple(a for a in image.crowds if a["category_id"] == person)
        has_masks = bool(objects) and all(a.get("segmentation") for a in objects)
        yield AnnotatedImage(image.id, image.path, image.size, objects, crowds, has_masks)


def most_mistaken(images: Sequence[AnnotatedImage], count: int) -> list[AnnotatedImage]:
    """Returns the images without persons in which the shipped model detects one with the highest scores."""
    detector = Detector(PERSON_MODEL)
    scores = {image.id: float(max(detector.detect(load_image(image.path)).scores, default=0.0)) for image in images}
    chosen = sorted(images, key=lambda image: scores[image.id], reverse=True)[:count]
    if chosen:
        print(f"{len(chosen)} of {len(images)} images without persons, in which one was detected at {scores[chosen[-1].id]:.2f} or more")
    return chosen


def stretched(annotation: dict[str, Any], x: float, y: float) -> dict[str, Any]:
    """Returns an annotation scaled with its image's width and height."""
    left, top, width, height = annotation["bbox"]
    keypoints = np.reshape(annotation.get("keypoints", []), (-1, 3)) * (x, y, 1)
    return {
        **{name: value for name, value in annotation.items() if name != "segmentation"},
        "bbox": [round(value, 2) for value in (left * x, top * y, width * x, height * y)],
        "area": round(annotation.get("area", width * height) * x * y, 2),
        **({"keypoints": [round(value, 1) for value in keypoints.ravel().tolist()]} if len(keypoints) else {}),
    }


class Folder:
    """A data set in COCO's format that grows on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        (path / "images").mkdir(parents=True)

    def add(self, image: AnnotatedImage, size: tuple[int, int] | None = None) -> None:
        """Adds an image, unchanged or stretched to another size."""
        target = self.path / "images" / image.path.name
        if size is None or size == image.size:
            target.symlink_to(image.path.resolve())
            objects = list(image.annotations + image.crowds)
        else:
            with Image.open(image.path) as opened:
                opened.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(target, quality=95)
            factors = size[0] / image.size[0], size[1] / image.size[1]
            objects = [stretched(annotation, *factors) for annotation in image.annotations + image.crowds]
        width, height = size or image.size
        # Stretched images have no polygons.
        has_masks = image.has_masks and (width, height) == image.size
        entry = {"id": image.id, "file_name": image.path.name, "width": width, "height": height, "has_masks": has_masks}
        self.images.append(entry)
        self.annotations += [{**a, "id": len(self.annotations) + i, "category_id": 1} for i, a in enumerate(objects, 1)]

    def write(self) -> None:
        """Writes the annotations."""
        categories = [{"id": 1, "name": PERSON, "keypoints": list(COCO_KEYPOINTS)}]
        content = {"images": self.images, "annotations": self.annotations, "categories": categories}
        (self.path / "annotations.json").write_text(json.dumps(content))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="JSON", help="all objects of all classes, in COCO's format")
    parser.add_argument("--squeezed", type=Path, nargs="+", default=[], metavar="JSON", help="the same of images that lost their shape")
    parser.add_argument("--without", type=Path, nargs="+", default=[], metavar="JSON", help="files whose images are to be left out")
    parser.add_argument("--background", type=int, default=1000, metavar="N", help="images without persons to take (default: 1000)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to make")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    images: dict[str, list[AnnotatedImage]] = defaultdict(list)
    taboo = {image.path.name for file in args.without for image in read_coco(file).images}
    folder = Folder(args.out)
    for file in args.data + args.squeezed:
        for image in only_persons(file):
            if image.path.name in taboo:
                continue
            kind = "background" if not image.annotations + image.crowds else "squeezed" if file in args.squeezed else "whole"
            images[kind].append(image)
    for image in images["whole"]:
        folder.add(image)
    repaired = [(image, size) for image in images["squeezed"] if (size := true_size(image))]
    for image, size in repaired:
        folder.add(image, size)
    for image in most_mistaken(images["background"], args.background):
        folder.add(image)
    folder.write()
    masked = [image for image in images["whole"] if image.has_masks]
    persons = sum(len(image.annotations) for image in masked)
    print(f"{len(images['whole'])} images with persons, {len(masked)} of them with all polygons ({persons} persons)")
    print(f"{len(repaired)} of {len(images['squeezed'])} squeezed images in their shape again")


if __name__ == "__main__":
    main()
