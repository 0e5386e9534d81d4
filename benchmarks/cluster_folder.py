"""Compares `detect FOLDER --engine ray` on two workers with two local processes that have half of the images each.

`python -m benchmarks.cluster_folder` prints a table. Both ways have one core for each worker; they take turns. The rate is that of the
images between the first and the last that are written, which leaves out how long Python, Ray and the model take to start; the seconds
are all that a user waits. Needs requirements-scale.txt.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import cpu_model, markdown_table

ROOT = Path(__file__).resolve().parent.parent
MODEL = "ssdlite300_mobilenet_v2"
SIZE = (640, 480)
WORKERS = 2


def prepare(folders: list[Path], count: int) -> None:
    """Writes different images, made from the examples, in turn into the folders."""
    from PIL import Image, ImageOps

    examples = sorted((ROOT / "assets" / "examples").glob("*.jpg"))
    for number in range(count):
        with Image.open(examples[number % len(examples)]) as example:
            image = ImageOps.fit(example.convert("RGB"), SIZE, Image.Resampling.BICUBIC)
        # A pixel that differs, so that no image is known already.
        image.putpixel((0, 0), (*divmod(number, 256), 0))
        image.save(folders[number % len(folders)] / f"{number}.jpg", quality=90)


def start(images: list[Path], out: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "detection_core", "detect", *map(str, images), "--out", str(out), "--model", MODEL]
    command += ["--format", "json", *flags]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def local(folders: list[Path], out: Path) -> list[subprocess.Popen[bytes]]:
    return [start([folder], out / folder.name) for folder in folders]


def cluster(folders: list[Path], out: Path) -> list[subprocess.Popen[bytes]]:
    return [start(folders, out, "--engine", "ray", "--workers", str(WORKERS))]


WAYS = {"two local processes": local, "one cluster of two workers": cluster}


def measure(way: str, folders: list[Path], count: int) -> tuple[float, float]:
    """Returns images a second while they are written, and the seconds that all took.

    Raises:
        SystemExit: If not all images were detected.
    """
    with tempfile.TemporaryDirectory() as name:
        started = time.perf_counter()
        codes = [process.wait() for process in WAYS[way](folders, Path(name))]
        if any(codes):
            raise SystemExit(f"{way}: not all images could be detected")
        seconds = time.perf_counter() - started
        written = sorted(path.stat().st_mtime for path in Path(name).rglob("*_detections.json"))
    if len(written) != count:
        raise SystemExit(f"{way}: {len(written)} results of {count} images")
    return (count - 1) / (written[-1] - written[0]), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000, help="number of images (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    args = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in range(WORKERS)]
        for folder in folders:
            folder.mkdir()
        prepare(folders, args.images)
        for _ in range(args.rounds):
            for way, runs in measured.items():
                runs.append(measure(way, folders, args.images))
    print(f"{cpu_model()}; {MODEL}, {args.images:,} images of {SIZE[0]}x{SIZE[1]}, one core a worker, median of {args.rounds}.\n")
    rows = [[way, *(f"{statistics.median(figures):.1f}" for figures in zip(*runs, strict=True))] for way, runs in measured.items()]
    print(markdown_table(["", "images/s", "seconds in all"], rows))
    first, second = measured.values()
    print(f"\nThe cluster's rate is {statistics.median(c[0] / p[0] for p, c in zip(first, second, strict=True)):.2f} of the processes'.")


if __name__ == "__main__":
    main()
