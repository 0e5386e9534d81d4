"""Compares peak memory of Mask R-CNN with 100 objects in one image: ours, loaded as in the app, and torchvision's documented way.

Each runs in fresh processes. This process imports nothing heavy, because a child's peak starts from its parent's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.common import machine_facts, markdown_table

ROOT = Path(__file__).resolve().parent.parent
MODEL = "maskrcnn_resnet50_fpn"
EXAMPLE = "astronaut.jpg"
WEIGHTS_DIR = "DETECTION_EXPLORER_WEIGHTS_DIR"
PRECISIONS = ("exact", "fast", "stock")


@dataclass(frozen=True)
class Task:
    """The task of a fresh process.

    Attributes:
        folder: Folder of weights and image.
        size: (width, height) of the image.
        precision: Precision of our model.
    """

    folder: Path
    size: tuple[int, int]
    precision: str


def peak_bytes() -> int:
    """Returns this process's peak resident memory in bytes; macOS reports bytes, Linux KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def prepare(task: Task) -> dict[str, Any]:
    """Writes random weights that find 100 objects, and the image, for the other steps."""
    import torch
    from PIL import Image

    from detection_core.models.catalog import ASSETS, get_model_spec

    # Imported by name because mypy checks every imported module, and tests are typed less strictly.
    random_module = import_module("tests.random_models").random_module
    torch.save(random_module(MODEL, size=None).state_dict(), task.folder / get_model_spec(MODEL).file_name)
    with Image.open(ASSETS / "examples" / EXAMPLE) as example:
        example.convert("RGB").resize(task.size, Image.Resampling.BICUBIC).save(task.folder / "image.jpg", quality=90)
    return {"threads": torch.get_num_threads()}


def run_ours(task: Task) -> dict[str, Any]:
    """Runs the code of the page and the command line: detects, makes polygons and draws."""
    import numpy as np
    import torch

    from detection_core.images.reading import load_image
    from detection_core.models.catalog import get_model_spec
    from detection_core.models.detector import run
    from detection_core.models.loader import ModelLoader
    from detection_core.models.precision import Precision
    from detection_core.visualization import annotate

    os.environ[WEIGHTS_DIR] = str(task.folder)
    peaks = {"imports": peak_bytes()}
    spec = get_model_spec(MODEL).in_precision(Precision(task.precision))
    module = ModelLoader().load(spec)
    peaks["model"] = peak_bytes()
    image = load_image(task.folder / "image.jpg")
    (detections,), _ = run(module, spec, [np.asarray(image)], torch.device("cpu"))
    peaks["detection"] = peak_bytes()
    points = sum(len(ring) for index in range(len(detections)) for ring in detections.polygons(index))
    annotate(image, detections)
    return {**peaks, "all": peak_bytes(), "objects": len(detections), "points": points}


def run_torchvision(task: Task) -> dict[str, Any]:
    """Runs the code of torchvision's documentation up to boolean masks; drawing would need additional memory."""
    import torch
    from torchvision.io import decode_image
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    from detection_core.models.build import build_model
    from detection_core.models.catalog import get_model_spec

    peaks = {"imports": peak_bytes()}
    spec = get_model_spec(MODEL)
    model = build_model(spec, task.folder / spec.file_name)
    peaks["model"] = peak_bytes()
    image = decode_image(str(task.folder / "image.jpg"))
    with torch.no_grad():
        prediction = model([MaskRCNN_ResNet50_FPN_Weights.DEFAULT.transforms()(image)])[0]
    peaks["detection"] = peak_bytes()
    masks = prediction["masks"] > 0.5
    return {**peaks, "all": peak_bytes(), "objects": len(masks)}


STEPS: dict[str, Callable[[Task], dict[str, Any]]] = {"prepare": prepare, "ours": run_ours, "torchvision": run_torchvision}


def in_fresh_process(step: str, task: Task) -> dict[str, Any]:
    options = ["--size", *map(str, task.size), "--precision", task.precision]
    command = [sys.executable, "-m", "benchmarks.memory", "--step", step, str(task.folder), *options]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each way (default 3)")
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 3000), metavar=("WIDTH", "HEIGHT"), help="default 4000 3000")
    parser.add_argument("--precision", nargs="+", default=["exact"], choices=PRECISIONS, help="of ours (default exact)")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    size = (args.size[0], args.size[1])
    if args.step:
        print(json.dumps(STEPS[args.step[0]](Task(Path(args.step[1]), size, args.precision[0]))))
        return
    with tempfile.TemporaryDirectory() as name:
        tasks = {f"ours, {precision}": ("ours", Task(Path(name), size, precision)) for precision in args.precision}
        tasks["torchvision"] = ("torchvision", Task(Path(name), size, "stock"))
        facts = in_fresh_process("prepare", tasks["torchvision"][1])
        print(f"{machine_facts(facts['threads'])}\n")
        records = {way: [in_fresh_process(*task) for _ in range(args.rounds)] for way, task in tasks.items()}
    width, height = size
    print(f"{MODEL} with random weights, {width}×{height}; peak resident memory so far in GB (1e9 bytes), median of {args.rounds}.")
    print("Ours includes all polygons and the drawn image, torchvision's way ends at boolean masks.\n")
    rows = []
    for way, runs in records.items():
        peaks = [f"{statistics.median(run[stage] for run in runs) / 1e9:.2f}" for stage in ("imports", "model", "detection", "all")]
        rows.append([way, *peaks, *(str(runs[0].get(count, "")) for count in ("objects", "points"))])
    print(markdown_table(["peak after, GB", "imports", "model", "detection", "everything", "objects", "points of polygons"], rows))


if __name__ == "__main__":
    main()
