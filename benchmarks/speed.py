"""Measures detection as torchvision documents it against the optimised models, and both against the machine: `python benchmarks/speed.py`.

The documented way is `model([weights.transforms()(image)])` under `no_grad`; ours is `detector.run` with what `fast.optimise` makes of the
same module. Both take a decoded picture in turns, so that a slow minute of the machine is everybody's, and the shortest of the runs
counts. The floor is the time in which the machine's own matrix product would do the model's multiplications.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import pil_to_tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import machine_facts, markdown_table
from detection_core.build import build_model
from detection_core.catalog import ASSETS, ModelSpec, get_spec, list_specs
from detection_core.detector import run
from detection_core.fast import optimise
from detection_core.weights import find_weights

Action = Callable[[], object]

_EXAMPLE = ASSETS / "examples" / "astronaut.jpg"
_MATRIX_SIDE = 2048


@dataclass(frozen=True)
class Row:
    """What one model took, in seconds.

    Attributes:
        model: Its key.
        documented: As torchvision documents it.
        exact: Optimised.
        objects: Found by the optimised model.
        floor: For its multiplications at the machine's best rate.
    """

    model: str
    documented: float
    exact: float
    objects: int
    floor: float

    def cells(self) -> list[str]:
        """As the table has it."""
        return [
            self.model,
            str(self.objects),
            f"{self.documented * 1e3:.0f}",
            f"{self.exact * 1e3:.0f}",
            f"{self.documented / self.exact:.2f}",
            f"{self.floor * 1e3:.0f}",
            f"{self.floor / self.exact:.0%}",
        ]


def gemm_rate() -> float:
    """Multiply-adds a second of a large float32 matrix product, the best of some."""
    matrix = torch.rand(_MATRIX_SIDE, _MATRIX_SIDE)
    return _MATRIX_SIDE**3 / min(interleaved([lambda: matrix @ matrix], 5)[0])


def interleaved(actions: list[Action], rounds: int) -> list[list[float]]:
    """Seconds of each run of each action; the actions take turns, after one that is not counted."""
    seconds: list[list[float]] = [[] for _ in actions]
    for round_ in range(rounds + 1):
        for action, own in zip(actions, seconds, strict=True):
            started = time.perf_counter()
            action()
            if round_:
                own.append(time.perf_counter() - started)
    return seconds


def multiply_adds(action: Action) -> float:
    """Of the convolutions and matrix products of a run."""
    with FlopCounterMode(display=False) as counter:
        action()
    return float(counter.get_total_flops()) / 2


def stock_module(spec: ModelSpec, *, random: bool) -> nn.Module:
    """The model as torchvision has it: with its weights, or with random ones that find things."""
    path = None if random else find_weights(spec)
    if path is not None:
        return build_model(spec, path)
    calibrated: nn.Module = import_module("tests.fast.models").calibrated_module.__wrapped__(spec.key, size=None)
    return calibrated


def measure(spec: ModelSpec, picture: Image.Image, rounds: int, rate: float, *, random: bool) -> Row:
    """Times one model."""
    stock = stock_module(spec, random=random)
    faster = optimise(stock)
    pixels, cpu = np.asarray(picture), torch.device("cpu")

    @torch.no_grad()
    def documented() -> object:
        # What `weights.transforms()`, ObjectDetection, does.
        return stock([pil_to_tensor(picture).float() / 255])

    def exact() -> object:
        return run(faster, spec, [pixels], cpu)

    with torch.no_grad():
        work = multiply_adds(documented)
    (found,), _ = run(faster, spec, [pixels], cpu)
    slow, fast = interleaved([documented, exact], rounds)
    return Row(spec.key, min(slow), min(fast), len(found), work / rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] + ".")
    parser.add_argument("--models", nargs="+", default=[spec.key for spec in list_specs()], metavar="KEY", help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each way (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads (default: 1)")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"), help="of the picture (default: 640 480)"
    )
    parser.add_argument("--random", action="store_true", help="random weights even where the trained ones are on the disk")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    picture = Image.open(_EXAMPLE).convert("RGB").resize(tuple(options.size))
    rate = gemm_rate()
    rows = []
    for key in options.models:
        rows.append(measure(get_spec(key), picture, options.rounds, rate, random=options.random))
        print(rows[-1].cells(), file=sys.stderr)
        gc.collect()
    header = ["model", "objects", "documented, ms", "exact, ms", "gain", "floor, ms", "share of the floor"]
    print(markdown_table(header, [row.cells() for row in rows]))
    width, height = options.size
    print(f"\nPicture: {width}×{height}. Matrix product: {2 * rate / 1e9:.0f} GFLOP/s. {machine_facts(options.threads)}")


if __name__ == "__main__":
    main()
