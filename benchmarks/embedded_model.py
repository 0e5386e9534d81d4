"""Measures average precision, speed and best threshold of an embedded model on COCO-format images, and writes its file and card."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import machine_facts, markdown_table, median_and_range
from benchmarks.person_data import only_persons
from detection_core.datasets.coco import read_coco
from detection_core.datasets.images import read_upright
from detection_core.detections import Detections
from detection_core.evaluation import Evaluation, evaluate
from detection_core.models.build import build_model
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, ModelSpec, get_model_spec
from detection_core.models.checkpoint import read_checkpoint
from detection_core.models.detector import run
from detection_core.models.optimized import optimize, sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.quantization import quantize
from detection_core.models.weights import fetch_weights

CPU = torch.device("cpu")
FIGURES = ("ap", "ap50", "small", "medium", "large")
VGA = (640, 480)
VGA_EXAMPLE = "astronaut.jpg"
VGA_ROUNDS = 15


def load_model(spec: ModelSpec, args: argparse.Namespace) -> nn.Module:
    module = build_model(spec, args.weights or fetch_weights(spec))
    transform: Any = module.transform
    if args.min_size:
        transform.min_size = (args.min_size,)
    if args.max_size:
        transform.max_size = args.max_size
    return module


def in_precisions(stock: nn.Module) -> dict[Precision, nn.Module]:
    """Returns the model in every precision that this machine supports."""
    dtype = sixteen_bits(CPU)
    modules = {Precision.STOCK: stock, Precision.EXACT: optimize(stock)}
    return modules if dtype is None else {**modules, Precision.FAST: optimize(stock, dtype)}


class TimedDetector:
    """A detector that records its times and numbers of objects."""

    def __init__(self, module: nn.Module, spec: ModelSpec) -> None:
        self.module, self.spec = module, spec
        self.seconds: list[float] = []
        self.objects: list[int] = []

    def __call__(self, image: NDArray[np.uint8]) -> Detections:
        """Detects objects in one image."""
        started = time.perf_counter()
        (found,), _ = run(self.module, self.spec, [image], CPU)
        self.seconds.append(time.perf_counter() - started)
        self.objects.append(len(found))
        return found


def vga_image() -> NDArray[np.uint8]:
    with Image.open(ASSETS / "examples" / VGA_EXAMPLE) as example:
        return np.asarray(example.convert("RGB").resize(VGA))


def giga_multiply_adds(module: nn.Module, spec: ModelSpec) -> float:
    """Counts billions of multiply-adds as torchvision's `_ops`; the result depends slightly on the number of objects."""
    with FlopCounterMode(display=False) as counter:
        run(module, spec, [vga_image()], CPU)
    return float(counter.get_total_flops()) / 2 / 1e9


def vga_seconds(module: nn.Module, spec: ModelSpec) -> list[float]:
    timed = TimedDetector(module, spec)
    for _ in range(VGA_ROUNDS + 2):
        timed(vga_image())
    return timed.seconds[2:]


def false_alarms(module: nn.Module, spec: ModelSpec, file: Path, threshold: float) -> tuple[int, int]:
    """Counts the images without persons, and those of them in which the model detects one."""
    images = [image for image in only_persons(file) if not image.annotations + image.crowds]
    scores = [run(module, spec, [np.asarray(read_upright(image))], CPU)[0][0].scores for image in images]
    return len(images), sum(bool((found >= threshold).any()) for found in scores)


def write_card(path: Path, evaluations: Mapping[Precision, Evaluation], facts: dict[str, Any], measured: dict[str, Any]) -> None:
    """Replaces the measured figures of the card and keeps the rest."""
    card = json.loads(path.read_text())
    exact = evaluations[Precision.EXACT]
    card["metrics"] |= {name: round(value, 1) for name, value in exact.metrics().items()}
    card["measured"]["AP, AP50, small, medium, large"] = _figures(exact)
    if Precision.FAST in evaluations:
        card["measured"]["the same in fast precision"] = _figures(evaluations[Precision.FAST])
    card["measured"] |= measured
    path.write_text(json.dumps(card | facts, indent=2, ensure_ascii=False) + "\n")


def _figures(evaluation: Evaluation) -> dict[str, list[float | None]]:
    return {
        f"{task}, {figures.images} images": [_rounded(getattr(figures, name)) for name in FIGURES]
        for task, figures in evaluation.tasks.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=(COCO_MODEL, PERSON_MODEL), default=PERSON_MODEL, help="default: %(default)s")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder: annotations.json beside images/")
    parser.add_argument("--weights", type=Path, metavar="FILE.pth", help="another state dict than the shipped one")
    parser.add_argument(
        "--export", type=Path, metavar="FILE.pt", help="first write these weights, a checkpoint or a state dict, to --weights, in 8 bits"
    )
    parser.add_argument("--empty", type=Path, metavar="JSON", help="COCO file of all classes, to count images with false persons")
    parser.add_argument("--min-size", type=int, metavar="PX", help="other length of the shorter side at inference")
    parser.add_argument("--max-size", type=int, metavar="PX", help="other bound on the longer side")
    parser.add_argument("--write-card", type=Path, metavar="CARD.json", help="write the figures to this card")
    args = parser.parse_args()
    if args.write_card and (args.min_size or args.max_size):
        parser.error("--write-card measures the unchanged model: do not combine it with --min-size or --max-size")
    if args.export and not args.weights:
        parser.error("--export needs --weights, the file to write")
    return args


def main() -> None:
    args = parse_arguments()
    if args.export:
        torch.save(quantize(read_checkpoint(args.export).state), args.weights)
    spec = get_model_spec(args.model)
    stock = load_model(spec, args)
    modules = in_precisions(stock)
    # As the app runs it by default; card and threshold are based on this.
    module = modules[Precision.EXACT]
    data = read_coco(args.data)
    timers = {precision: TimedDetector(each, spec) for precision, each in modules.items()}
    evaluations = {precision: evaluate(data, each) for precision, each in timers.items()}
    timed, evaluation = timers[Precision.EXACT], evaluations[Precision.EXACT]
    params = sum(parameter.numel() for parameter in stock.parameters())
    gflops = giga_multiply_adds(stock, spec)
    size = (args.weights or fetch_weights(spec)).stat().st_size / 2**20

    print(f"{machine_facts(torch.get_num_threads())}\n")
    transform: Any = module.transform
    print(f"{len(data.images)} images; shorter side scaled to {transform.min_size[0]} px, longer to {transform.max_size} px at most.")
    print("Sizes are COCO's: small is below 32² px of area in the stored image, large above 96². Average precision in percent:\n")
    rows = [
        [task, precision, str(figures.images), *("–" if (value := getattr(figures, name)) is None else f"{value:.2f}" for name in FIGURES)]
        for precision, each in evaluations.items()
        for task, figures in each.tasks.items()
    ]
    print(markdown_table(["AP of", "precision", "images", *FIGURES], rows))
    took = [
        [
            precision,
            *(median_and_range([1000 * value for value in seconds]) for seconds in (timers[precision].seconds, vga_seconds(each, spec))),
        ]
        for precision, each in modules.items()
    ]
    print(f"\n{markdown_table(['ms, median (range)', 'per image of the data', f'{VGA_EXAMPLE} at {VGA[0]}×{VGA[1]}'], took)}\n")
    print(f"Objects per image above the floor score of {spec.min_score}: {median_and_range(timed.objects)}; each costs time.")
    print(f"{params} parameters, {gflops:.2f} billion multiply-adds on that image, {size:.1f} MiB.\n")
    best = evaluation.best()
    threshold = evaluation.default_threshold(spec.min_score)
    if best is None or threshold is None:
        print("Nothing was found, so there is no threshold to suggest and no card to write.")
        return
    default = evaluation.at(threshold)
    rows = [
        [name, *(f"{value:.3f}" for value in (point.threshold, point.precision, point.recall, point.f1))]
        for name, point in {"best F1": best, "default": default}.items()
    ]
    print(markdown_table(["boxes at IoU 0.5", "threshold", "precision", "recall", "F1"], rows))
    measured: dict[str, Any] = {}
    if args.empty:
        images, alarms = false_alarms(module, spec, args.empty, threshold)
        share = f"{alarms} of {images}"
        print(f"\nImages without persons in which one is detected at the default threshold: {share}.")
        measured["images without persons in which one is seen"] = share
    if args.write_card:
        facts = {"params": params, "gflops": round(gflops, 2), "file_size": round(size, 1), "default_threshold": default.threshold}
        write_card(args.write_card, evaluations, facts, measured)


if __name__ == "__main__":
    main()
