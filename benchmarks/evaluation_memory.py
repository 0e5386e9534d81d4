"""Compares the peak memory of an evaluation with pycocotools', from the same two files, in fresh processes: `… evaluation_memory`.

The process of pycocotools imports nothing of this project. Memory does not depend on the machine's load.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import machine_facts, markdown_table

ROOT = Path(__file__).resolve().parent.parent
TRUTH, RESULTS = "annotations.json", "results.json"
_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Returns this process's peak resident memory; Linux's `ru_maxrss` is that of the parent, if it was larger."""
    if _STATUS.exists():
        return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def write_files(folder: Path, images: int, detections: int) -> None:
    """Writes random annotations and results in COCO's formats."""
    from benchmarks.evaluation import random_data

    dataset, results = random_data(images, detections)
    truth = {
        "images": [{"id": i.id, "file_name": i.file_name, "width": i.size[0], "height": i.size[1]} for i in dataset.images],
        "annotations": [entry for image in dataset.images for entry in image.annotations],
        "categories": [{"id": label, "name": name} for label, name in enumerate(dataset.categories) if label],
    }
    (folder / TRUTH).write_text(json.dumps(truth))
    (folder / RESULTS).write_text(json.dumps([entry for entries in results.values() for entry in entries]))


def run_ours(folder: Path) -> dict[str, float]:
    """Reads both files and computes COCO's figures, and then all that the report has beside them."""
    from detection_core.datasets.coco import read_coco
    from detection_core.engine import LocalEngine
    from detection_core.evaluation import Candidate, EvaluationRun

    peaks: dict[str, float] = {"imports": peak_bytes()}
    run = EvaluationRun(read_coco(folder / TRUTH), [Candidate(folder / RESULTS)], LocalEngine())
    for _ in run.run("bbox"):
        pass
    evaluated = run.evaluated()
    peaks["AP"] = evaluated.models[0].figures.summary["AP"] or 0.0
    peaks["figures"] = peak_bytes()
    evaluated.metrics()
    return peaks | {"report": peak_bytes()}


def run_pycocotools(folder: Path) -> dict[str, float]:
    """The same figures as pycocotools computes them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    peaks: dict[str, float] = {"imports": peak_bytes()}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(folder / TRUTH)
        evaluation = COCOeval(truth, truth.loadRes(str(folder / RESULTS)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return peaks | {"AP": float(evaluation.stats[0]), "figures": peak_bytes()}


STEPS: dict[str, Callable[[Path], dict[str, float]]] = {"this project": run_ours, "pycocotools": run_pycocotools}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="detections of an image")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(STEPS[args.step[0]](Path(args.step[1]))))
        return
    print(machine_facts(1))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), args.images, args.detections)
        for step in STEPS:
            command = [sys.executable, "-m", "benchmarks.evaluation_memory", "--step", step, folder]
            peaks = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
            shown = [f"{peaks[name] / 1e9:.2f}" if name in peaks else "" for name in ("imports", "figures", "report")]
            rows.append([step, *shown, f"{peaks['AP']:.6f}"])
    print(f"{args.images:,} images with {args.detections} detections; peak resident memory so far in GB (1e9 bytes).")
    print(markdown_table(["peak after, GB", "imports", "figures", "everything in the report", "AP"], rows))


if __name__ == "__main__":
    main()
