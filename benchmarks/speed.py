"""Measures detection as torchvision documents it against the optimized models, and both against the machine: `python benchmarks/speed.py`.

The documented way is `model([weights.transforms()(image)])` under `no_grad`, then `torchvision.utils.draw_*` and a JPEG; ours is
`detector.run` with the result of `optimize` for the same module, then `annotate` and a JPEG, in a process that uses memory as the app
does; the documented way has a separate process for each model, as its user would. All run alternately on a decoded image, so that a
slow minute of the machine affects all of them, and the shortest of the runs counts. The floor is the time in which the machine's own
matrix product, measured in the same turns, would do the exact model's multiplications.

Weights are random by default, and a threshold inside the models sets the number of objects. The built-in model has its own weights
and threshold.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# `benchmarks` does the same, but too late for NumPy if this file is the program.
if "DETECTION_EXPLORER_PLAIN_PROCESS" not in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import peers, pieces
from benchmarks.common import Action, interleaved, machine_facts, markdown_table
from benchmarks.plain import PlainProcess
from benchmarks.subjects import set_threshold, stock_module, threshold_between, trained_weights
from benchmarks.ways import Way, documented_way, our_way
from detection_core.models.catalog import ASSETS, ModelSpec, get_model_spec, list_specs
from detection_core.models.detector import run
from detection_core.models.optimized import optimize, sixteen_bits
from detection_core.models.precision import Precision

_EXAMPLE = ASSETS / "examples" / "astronaut.jpg"
_DOCUMENTED = "documented"
_MATRIX_SIDE = 2048
# Matrix products in each turn, because a single short one is easily disturbed.
_PRODUCTS = 3
_PIECE_ROUNDS = 9
_WARM_UP = 2


@dataclass(frozen=True)
class Row:
    """The times of one model for one image.

    Attributes:
        model: The model's key.
        objects: Number found by the exact model.
        detection: Seconds of each run, by implementation.
        whole: The same, with drawing and encoding.
        floor: Seconds that the machine's matrix product would take; None if not measured.
    """

    model: str
    objects: int
    detection: dict[str, list[float]]
    whole: dict[str, list[float]]
    floor: float | None

    def cells(self) -> dict[str, str]:
        """Returns the figures by column."""
        cells = {"model": self.model, "objects": str(self.objects)}
        for part, seconds in {"detection": self.detection, "whole": self.whole}.items():
            for way, own in seconds.items():
                cells[f"{part}: {way}, ms"] = f"{min(own) * 1e3:.0f} / {statistics.median(own) * 1e3:.0f}"
                if way != _DOCUMENTED:
                    cells[f"{part}: {way}, gain"] = f"{min(seconds[_DOCUMENTED]) / min(own):.2f}"
        if self.floor is not None:
            cells["floor, ms"] = f"{self.floor * 1e3:.0f}"
            cells["share of exact"] = f"{self.floor / min(self.detection[Precision.EXACT]):.0%}"
        return cells


class Subject:
    """One model, prepared for all measured implementations; the documented one runs in the plain process."""

    def __init__(self, spec: ModelSpec, image: Image.Image, device: torch.device, plain: PlainProcess, *, trained: bool) -> None:
        self.spec, self.device, self.plain = spec, device, plain
        self.finds_what_it_finds = trained_weights(spec, wanted=trained) is not None
        stock = stock_module(spec, np.asarray(image), trained=trained)
        plain.do(_take, stock, spec, device)
        self.ours = {str(Precision.EXACT): optimize(stock.to(device))}
        if dtype := sixteen_bits(device):
            self.ours[str(Precision.FAST)] = optimize(stock, dtype)

    def ways(self, image: Image.Image, objects: int) -> dict[str, Way]:
        """Returns our implementations for one image, limited to the number of objects, and prepares the documented one."""
        threshold = floor = self.spec.min_score
        if not self.finds_what_it_finds:
            exact = self.ours[Precision.EXACT]
            set_threshold(exact, floor)
            (found,), _ = run(exact, self.spec, [np.asarray(image)], self.device)
            threshold = threshold_between(found.scores, objects, floor)
        for module in self.ours.values():
            set_threshold(module, threshold)
        self.plain.do(_prepare, image, threshold)
        return {name: our_way(own, self.spec, image, self.device) for name, own in self.ours.items()}

    def measure(self, image: Image.Image, objects: int, rounds: int) -> Row:
        """Times all implementations alternately, after two uncounted turns: weights are packed when a size occurs for the second time."""
        ways = self.ways(image, objects)
        actions = {_DOCUMENTED: partial(self.plain.do, _seconds)} | {name: way.seconds for name, way in ways.items()}
        detection: dict[str, list[float]] = {name: [] for name in actions}
        whole: dict[str, list[float]] = {name: [] for name in actions}
        products: list[float] = []
        for round_ in range(-_WARM_UP, rounds):
            for name, action in actions.items():
                first, second = action()
                if round_ >= 0:
                    detection[name].append(first)
                    whole[name].append(second)
            if self.device.type == "cpu":
                products += matrix_product_seconds()
        exact = ways[Precision.EXACT].detect
        floor = multiply_adds(exact) / _MATRIX_SIDE**3 * min(products) if products else None
        return Row(self.spec.key, len(exact()), detection, whole, floor)


# The subject in the plain process.
_given: dict[str, Any] = {}


def _take(stock: nn.Module, spec: ModelSpec, device: torch.device) -> None:
    _given.update(stock=stock.to(device), spec=spec, device=device)


def _prepare(image: Image.Image, threshold: float) -> None:
    set_threshold(_given["stock"], threshold)
    _given["way"] = documented_way(_given["stock"], _given["spec"], image, threshold, _given["device"])


def _seconds() -> tuple[float, float]:
    seconds: tuple[float, float] = _given["way"].seconds()
    return seconds


def matrix_product_seconds() -> list[float]:
    """Times some large float32 matrix products in seconds."""
    matrix = torch.rand(_MATRIX_SIDE, _MATRIX_SIDE)
    return interleaved([lambda: matrix @ matrix], _PRODUCTS)[0]


def multiply_adds(action: Action) -> float:
    """Counts the multiply-adds in the convolutions and matrix products of a run."""

    def of_fused(maps: list[int], second: list[int], third: list[int] | None, *_: object, out_shape: list[int], **__: object) -> int:
        # With a sum, its other part comes before the weights; without, their biases come after them.
        return conv_flop_count(maps, third if third is not None and len(third) == len(maps) else second, out_shape)

    with FlopCounterMode(display=False, custom_mapping={torch.ops.mkldnn._convolution_pointwise: of_fused}) as counter:
        action()
    return float(counter.get_total_flops()) / 2


def measured_tables(options: argparse.Namespace) -> Iterator[str]:
    """Yields one table for each image size and number of objects."""
    device = torch.device(options.device)
    images = [Image.open(_EXAMPLE).convert("RGB").resize(size, Image.Resampling.BICUBIC) for size in options.size]
    rows: dict[tuple[tuple[int, int], int], list[Row]] = {}
    for key in options.models:
        plain = PlainProcess(options.threads)
        subject = Subject(get_model_spec(key), images[0], device, plain, trained=options.trained)
        for image in images:
            for objects in options.objects:
                rows.setdefault((image.size, objects), []).append(subject.measure(image, objects, options.rounds))
                print(rows[image.size, objects][-1].cells(), file=sys.stderr)
        del subject
        plain.close()
        gc.collect()
    for ((width, height), objects), own in rows.items():
        cells = [row.cells() for row in own]
        yield f"### {width}×{height}, {objects} objects\n"
        yield markdown_table(list(cells[0]), [list(row.values()) for row in cells]) + "\n"


def report(options: argparse.Namespace) -> Iterator[str]:
    """Yields the report in Markdown, part by part."""
    rate = 2 * _MATRIX_SIDE**3 / min(matrix_product_seconds()) / 1e9
    yield f"{machine_facts(options.threads)} Matrix product before the first model: {rate:.0f} GFLOP/s."
    if options.device != "cpu":
        yield f"Models on {torch.cuda.get_device_name(options.device)}."
    yield f"Milliseconds, minimum / median of {options.rounds} runs in turns (pieces: {_PIECE_ROUNDS}); gains are of the minima.\n"
    if not options.pieces_only:
        yield from measured_tables(options)
    if options.pieces or options.pieces_only:
        yield "### Pieces\n"
        yield pieces.measured_table(_PIECE_ROUNDS, options.threads) + "\n"
    if options.peers:
        yield "### Peers\n"
        yield peers.measured_table(Image.open(_EXAMPLE).convert("RGB").resize(options.size[0]), options.rounds) + "\n"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--models", nargs="+", default=[spec.key for spec in list_specs()], metavar="KEY", help="default: all")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way (default: 3)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch's threads (default: all)")
    parser.add_argument(
        "--size", type=int, nargs=2, action="append", metavar=("WIDTH", "HEIGHT"), help="of an image (default: 640 480); may be repeated"
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[20], metavar="N", help="number of objects in each image (default: 20)")
    parser.add_argument("--device", default="cpu", help="device of the models (default: cpu)")
    parser.add_argument("--trained", action="store_true", help="use trained weights that are on the disk")
    parser.add_argument("--pieces", action=argparse.BooleanOptionalAction, default=True, help="measure single pieces as well (default)")
    parser.add_argument("--pieces-only", action="store_true", help="no models")
    parser.add_argument("--peers", action="store_true", help="measure Ultralytics' smallest models as well")
    parser.add_argument("--write", type=Path, metavar="FILE.md", help="also write the report to this file")
    options = parser.parse_args()
    options.size = [tuple(size) for size in options.size or [(640, 480)]]
    return options


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    parts = []
    for part in report(options):
        print(part, flush=True)
        parts.append(part)
    if options.write:
        options.write.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
