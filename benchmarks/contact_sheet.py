"""Draws a model's detections in many images on one sheet, to inspect its errors."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from detection_core import Detector, annotate, get_model_spec, load_image
from detection_core.datasets.coco import read_coco

CELL = (360, 300)
COLUMNS = 5
CAPTION = 16


def sheet(detector: Detector, images: list[Path], threshold: float) -> Image.Image:
    width, height = CELL
    rows = -(-len(images) // COLUMNS)
    canvas = Image.new("RGB", (COLUMNS * width, rows * (height + CAPTION)), "white")
    draw = ImageDraw.Draw(canvas)
    for number, path in enumerate(images):
        image = load_image(path)
        found = detector.detect(image)
        drawn = ImageOps.contain(annotate(image, found[found.scores >= threshold]), CELL)
        left, top = number % COLUMNS * width, number // COLUMNS * (height + CAPTION)
        canvas.paste(drawn, (left, top + CAPTION))
        draw.text((left + 2, top + 2), f"{number + 1}: {path.name}", fill="black")
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder: annotations.json beside images/")
    parser.add_argument("--model", default="person_mobilenet_v2_fpn", metavar="KEY")
    parser.add_argument("--threshold", type=float, help="default: the model's default threshold")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="images to skip")
    parser.add_argument("--images", type=int, default=20, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="SHEET.jpg")
    args = parser.parse_args()
    images = [image.path for image in read_coco(args.data).images][args.first : args.first + args.images]
    threshold = get_model_spec(args.model).default_threshold if args.threshold is None else args.threshold
    sheet(Detector(args.model), images, threshold).save(args.out, quality=88)
    print(f"{len(images)} images at a threshold of {threshold} in {args.out}")


if __name__ == "__main__":
    main()
