"""Compares the results of the optimized models with torchvision's over a folder of images: `python benchmarks/equality.py`.

For the exact precision it prints the largest differences and the flips: objects in only one result, because two overlapping candidates
tied within rounding, and keypoints at other places, because two pixels of a heat map tied. For the fast precision it prints, as
information, how many objects stay in place. Weights are random, calibrated on an image, except those of the built-in model.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import machine_facts, markdown_table
from benchmarks.distance import distance
from benchmarks.subjects import stock_module
from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix, match
from detection_core.inputs import find_images
from detection_core.models.catalog import ModelSpec, get_model_spec, list_specs
from detection_core.models.detector import as_array, run
from detection_core.models.optimized import optimize, sixteen_bits

_CPU = torch.device("cpu")
_SAME_PLACE = 0.9


@dataclass
class Comparison:
    """The comparisons of one model on all images.

    Attributes:
        model: The model's key.
        distances: The `distance` between stock and exact for each image.
        same: For each object of stock, whether fast finds one of the same class at the same place.
        scores: The score differences of those objects.
    """

    model: str
    distances: list[Any] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add_fast(self, expected: Detections, found: Detections) -> None:
        """Adds the fast result of one image."""
        allowed = expected.labels[:, None] == found.labels[None]
        pairs = match(iou_matrix(expected.boxes, found.boxes), allowed, _SAME_PLACE)
        self.same += [True] * len(pairs) + [False] * (len(expected) - len(pairs))
        self.scores += [float(abs(expected.scores[i] - found.scores[j])) for i, j in pairs]

    def cells(self) -> list[str]:
        """Returns the row of the table."""
        objects = sum(each.objects for each in self.distances)
        equal = sum(each.is_small for each in self.distances)
        return [
            self.model,
            f"{equal} of {len(self.distances)}",
            f"{sum(each.missing for each in self.distances)} of {objects}",
            f"{max(each.box for each in self.distances):.1e}",
            f"{max(each.score for each in self.distances):.1e}",
            f"{max(each.keypoint for each in self.distances):.2g}",
            f"{sum(each.flipped_keypoints for each in self.distances)} of {sum(each.keypoints for each in self.distances)}",
            f"{min(each.mask for each in self.distances):.5f}",
            f"{np.mean(self.same):.1%}" if self.same else "",
            f"{np.median(self.scores):.4f}" if self.scores else "",
        ]


def compare(spec: ModelSpec, images: Sequence[NDArray[np.uint8]]) -> Comparison:
    """Compares all precisions of one model on all images."""
    stock = stock_module(spec, images[0])
    exact = optimize(stock)
    dtype = sixteen_bits(_CPU)
    fast = optimize(stock, dtype) if dtype else None
    comparison = Comparison(spec.key)
    for number, image in enumerate(images):
        (expected,), _ = run(stock, spec, [image], _CPU)
        (found,), _ = run(exact, spec, [image], _CPU)
        comparison.distances.append(distance(found, expected))
        if not comparison.distances[-1].is_small:
            print(f"{spec.key}, image {number + 1}: {comparison.distances[-1]}", file=sys.stderr)
        if fast is not None:
            (found,), _ = run(fast, spec, [image], _CPU)
            comparison.add_fast(expected, found)
    return comparison


def comparisons(keys: Sequence[str], images: Sequence[NDArray[np.uint8]]) -> Iterator[Comparison]:
    """Yields the comparison of one model after the other, so that only one is in memory."""
    for key in keys:
        yield compare(get_model_spec(key), images)
        gc.collect()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="a folder of images")
    parser.add_argument("--count", type=int, metavar="N", help="only the first N (default: all)")
    parser.add_argument("--models", nargs="+", default=[spec.key for spec in list_specs()], metavar="KEY", help="default: all")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's threads (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = [as_array(file.path) for file in find_images([str(options.images)])[: options.count]]
    print(f"{len(images)} images. {machine_facts(options.threads)}\n")
    header = ["model", "images equal", "flips", "box, px", "score", "keypoint, px", "keypoints flipped", "mask, equal px"]
    rows = []
    for comparison in comparisons(options.models, images):
        rows.append(comparison.cells())
        print(rows[-1], file=sys.stderr, flush=True)
    print(markdown_table([*header, f"fast: same class, IoU > {_SAME_PLACE}", "fast: median score difference"], rows))


if __name__ == "__main__":
    main()
