"""Measures the built-in models at several input sizes and in slices on COCO-format images: `python -m benchmarks.slices --data DIR`.

For each variant of a model it prints the average precision of boxes by object size (COCO's sizes, in the stored images), also of masks and
keypoints if they are annotated, and the time an image takes. A model is measured on the classes that it detects.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import machine_facts, markdown_table, median_and_range
from detection_core.datasets.coco import CocoDataset, read_coco
from detection_core.detections import Detections
from detection_core.evaluation.one_model import evaluate_model
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector
from detection_core.models.model_key import VariantError
from detection_core.models.spec import ModelSpec

FIGURES = ("ap", "ap50", "small", "medium", "large")


class TimedDetector:
    """A detector that records its times."""

    def __init__(self, spec: ModelSpec) -> None:
        self._detector = Detector(spec)
        self.seconds: list[float] = []

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Detects objects in one image."""
        started = time.perf_counter()
        found = self._detector.detect(image)
        self.seconds.append(time.perf_counter() - started)
        return found


def variants(model: str, sizes: list[int], slices: list[int]) -> Iterator[ModelSpec]:
    """Yields a model as it was trained, at the other input sizes that it has, and in slices."""
    yield get_model_spec(model)
    for suffix in [*(f"@{size}px" for size in sizes), *(f"@slices{size}" for size in slices)]:
        with suppress(VariantError):  # SSDs have one input size only.
            yield get_model_spec(model + suffix)


def of_classes(data: CocoDataset, spec: ModelSpec) -> CocoDataset:
    """Returns the data without objects of classes that a model does not detect; an AP of 0 in these would say nothing about it."""
    known = {data.category_ids[label] for label, name in enumerate(data.categories) if name in spec.class_names}
    images = [replace(each, annotations=tuple(a for a in each.annotations if a["category_id"] in known)) for each in data.images]
    return replace(data, images=tuple(images))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder: annotations.json beside images/")
    parser.add_argument("--models", nargs="+", default=[COCO_MODEL, PERSON_MODEL], metavar="KEY", help="default: the built-in models")
    parser.add_argument("--sizes", nargs="*", type=int, default=[480, 640], metavar="PX", help="input sizes beside the usual one")
    parser.add_argument("--slices", nargs="*", type=int, default=[256, 320], metavar="PX", help="sizes of slices")
    parser.add_argument("--images", type=int, metavar="N", help="use the first N images only")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    data = read_coco(args.data)
    if args.images:
        data = replace(data, images=data.images[: args.images])
    print(f"{machine_facts(torch.get_num_threads())}\n")
    rows = []
    for spec in (spec for model in args.models for spec in variants(model, args.sizes, args.slices)):
        detector = TimedDetector(spec)
        tasks = evaluate_model(of_classes(data, spec), detector).tasks
        # The first run is slower than the rest.
        took = median_and_range([1000 * seconds for seconds in detector.seconds[1:]])
        for task, figures in tasks.items():
            values = [getattr(figures, name) for name in FIGURES]
            rows.append([spec.key, task, str(figures.images), *("–" if value is None else f"{value:.1f}" for value in values), took])
    print(f"{len(data.images)} images; average precision in percent, milliseconds an image:\n")
    print(markdown_table(["model", "AP of", "images", *FIGURES, "ms"], rows))


if __name__ == "__main__":
    main()
