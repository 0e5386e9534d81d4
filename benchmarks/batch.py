"""Measures peak memory and speed of `detect` on 155 and on 15 images, and of a second run that has nothing left to do.

Each run is a fresh process. This process imports nothing heavy, because a child's peak starts from its parent's memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.common import machine_facts, markdown_table
from benchmarks.memory import peak_bytes

ROOT = Path(__file__).resolve().parent.parent
MODEL = "person_mobilenet_v2_fpn"
COUNTS = (15, 155)
LONGER_SIDE = 2048
FORMATS = "json,png,coco,csv"


def prepare(folder: Path, count: int) -> dict[str, Any]:
    """Writes a number of different images made from the examples, and returns torch's thread count and their mean size."""
    import torch
    from PIL import Image, ImageOps

    from detection_core.models.catalog import ASSETS

    examples = sorted((ASSETS / "examples").glob("*.jpg"))
    (folder / "images").mkdir()
    pixels = 0
    for number in range(count):
        with Image.open(examples[number % len(examples)]) as example:
            scaled = ImageOps.contain(example.convert("RGB"), (LONGER_SIDE, LONGER_SIDE), Image.Resampling.BICUBIC)
        mirrored = ImageOps.mirror(scaled) if number // len(examples) % 2 else scaled
        # Sizes vary as in practice: memory freed in other pieces than it was allocated may accumulate.
        cropped = ImageOps.crop(mirrored, border=3 * (number % COUNTS[0]))
        cropped.save(folder / "images" / f"{number}.jpg", quality=90)
        pixels += cropped.width * cropped.height
    return {"threads": torch.get_num_threads(), "megapixels": pixels / count / 1e6}


def detect(folder: Path, count: int) -> dict[str, Any]:
    """Runs the command line, and records the peak before the first image."""
    from detection_core.batch import BatchRun
    from detection_core.cli.main import main

    peaks = {}
    run = BatchRun.run

    def measured(batch: BatchRun, detector: Callable[..., Any]) -> Iterator[Any]:
        peaks["loaded"] = peak_bytes()
        return run(batch, detector)

    started = time.perf_counter()
    arguments = [str(folder / "images"), "--out", str(folder / "out"), "--model", MODEL, "--format", FORMATS]
    with mock.patch.object(BatchRun, "run", measured):
        if main(["detect", *arguments]):
            raise SystemExit("not all images could be detected")
    return {**peaks, "all": peak_bytes(), "seconds": time.perf_counter() - started}


STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {"prepare": prepare, "detect": detect}


def in_fresh_process(step: str, folder: Path, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.batch", "--step", step, str(folder), str(count)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each figure (default 3)")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "DIR", "COUNT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        step, folder, count = args.step
        print(json.dumps(STEPS[step](Path(folder), int(count))))
        return
    records: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for number in range(args.rounds):
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as name:
                facts = in_fresh_process("prepare", Path(name), count)
                if not number:
                    print(f"{count} images of {facts['megapixels']:.1f} megapixels on average, {facts['threads']} torch threads.")
                for way in ("detected", "done before"):
                    records.setdefault((count, way), []).append(in_fresh_process("detect", Path(name), count))
    print(f"{machine_facts(facts['threads'])}\n")
    print(f"`detect` with {MODEL} and --format {FORMATS}; peak resident memory in MB (1e6 bytes), median of {args.rounds}.\n")
    rows = []
    for (count, way), runs in records.items():
        loaded, peak, seconds = (statistics.median(run[name] for run in runs) for name in ("loaded", "all", "seconds"))
        rows.append([f"{count} {way}", f"{loaded / 1e6:.0f}", f"{peak / 1e6:.0f}", f"{seconds:.1f}", f"{count / seconds:.1f}"])
    print(markdown_table(["images", "MB, model loaded", "MB, peak", "seconds in all", "images/s"], rows))


if __name__ == "__main__":
    main()
