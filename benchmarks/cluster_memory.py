"""Measures how much memory the process of `detect FOLDER --engine ray` takes for few and for many images.

`python -m benchmarks.cluster_memory` prints a table. Each run is a fresh process, which starts a cluster on this machine. Needs
requirements-scale.txt.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import markdown_table

ROOT = Path(__file__).resolve().parent.parent
COUNTS = (200, 1_000)
SIZE = (160, 120)


def prepare(folder: Path, count: int) -> None:
    """Writes small images that differ."""
    import numpy as np
    from PIL import Image

    from detection_core.models.catalog import ASSETS

    with Image.open(ASSETS / "examples" / "astronaut.jpg") as example:
        pixels = np.array(example.convert("RGB").resize(SIZE))
    for number in range(count):
        pixels[0, 0] = (*divmod(number, 256), 0)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def detect(images: Path, out: Path, workers: int) -> dict[str, float]:
    """Runs the command line in this process; returns what it took: megabytes at the peak, and of its own at the end, and seconds."""
    from detection_core.cli.main import main
    from detection_core.models.catalog import COCO_MODEL

    started = time.perf_counter()
    command = ["detect", str(images), "--out", str(out), "--model", COCO_MODEL, "--format", "json"]
    if main([*command, "--engine", "ray", "--workers", str(workers)]):
        raise SystemExit("not all images could be detected")
    status = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/self/status").read_text("ascii")))
    return {"peak": int(status["VmHWM"]) / 1000, "own": int(status["RssAnon"]) / 1000, "seconds": time.perf_counter() - started}


def in_fresh_process(images: Path, out: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cluster_memory", "--run", str(images), str(out), "--workers", str(workers)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="numbers of images (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="the most workers (%(default)s)")
    parser.add_argument("--run", nargs=2, type=Path, metavar=("IMAGES", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        images, out = args.run
        print(json.dumps(detect(images, out, args.workers)))
        return
    rows = []
    for count in args.counts:
        with tempfile.TemporaryDirectory() as images, tempfile.TemporaryDirectory() as out:
            prepare(Path(images), count)
            taken = in_fresh_process(Path(images), Path(out), args.workers)
        rows.append([f"{count:,}", f"{taken['peak']:.0f}", f"{taken['own']:.0f}", f"{taken['seconds']:.0f}"])
    print(f"Images of {SIZE[0]}x{SIZE[1]} through `detect --engine ray`, with at most {args.workers} workers.\n")
    print(markdown_table(["images", "MB, peak", "MB of its own in the end", "seconds"], rows))


if __name__ == "__main__":
    main()
