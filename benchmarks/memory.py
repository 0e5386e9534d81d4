"""Peak memory of Mask R-CNN with 100 objects on a 12-megapixel photo: ours against torchvision's documented way, in fresh processes.

This process imports nothing heavy: a child's peak begins at what its parent holds when it is started.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.common import machine_facts, markdown_table

ROOT = Path(__file__).resolve().parent.parent
MODEL = "maskrcnn_resnet50_fpn"
PHOTO_SIZE = (4000, 3000)
EXAMPLE = "astronaut.jpg"


def peak_bytes() -> int:
    """The most memory that this process ever had resident; macOS counts bytes, Linux KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def prepare(folder: Path) -> dict[str, Any]:
    """Leaves random weights that find 100 objects, and the photo, where the other steps look for them."""
    import torch
    from PIL import Image

    from detection_core.catalog import ASSETS

    # Imported by name because mypy checks whatever it sees imported, and tests are not typed that strictly.
    random_module = import_module("tests.random_models").random_module
    torch.save(random_module(MODEL, size=None).state_dict(), folder / "weights.pth")
    with Image.open(ASSETS / "examples" / EXAMPLE) as example:
        example.convert("RGB").resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(folder / "photo.jpg", quality=90)
    return {"threads": torch.get_num_threads()}


def run_ours(folder: Path) -> dict[str, Any]:
    """What the page and the command line do: find, outline and draw everything."""
    import numpy as np
    import torch

    from detection_core.build import build_model
    from detection_core.catalog import get_spec
    from detection_core.detector import run
    from detection_core.images import load_image
    from detection_core.visualization import annotate

    peaks = {"imports": peak_bytes()}
    spec = get_spec(MODEL)
    module = build_model(spec, folder / "weights.pth")
    peaks["model"] = peak_bytes()
    picture = load_image(folder / "photo.jpg")
    (detections,), _ = run(module, spec, [np.asarray(picture)], torch.device("cpu"))
    peaks["detection"] = peak_bytes()
    points = sum(len(ring) for index in range(len(detections)) for ring in detections.polygons(index))
    annotate(picture, detections)
    return {**peaks, "all": peak_bytes(), "objects": len(detections), "points": points}


def run_torchvision(folder: Path) -> dict[str, Any]:
    """What torchvision's documentation shows, as far as boolean masks; drawing them would come on top."""
    import torch
    from torchvision.io import decode_image
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    from detection_core.build import build_model
    from detection_core.catalog import get_spec

    peaks = {"imports": peak_bytes()}
    model = build_model(get_spec(MODEL), folder / "weights.pth")
    peaks["model"] = peak_bytes()
    image = decode_image(str(folder / "photo.jpg"))
    with torch.no_grad():
        prediction = model([MaskRCNN_ResNet50_FPN_Weights.DEFAULT.transforms()(image)])[0]
    peaks["detection"] = peak_bytes()
    masks = prediction["masks"] > 0.5
    return {**peaks, "all": peak_bytes(), "objects": len(masks)}


STEPS: dict[str, Callable[[Path], dict[str, Any]]] = {"prepare": prepare, "ours": run_ours, "torchvision": run_torchvision}


def in_fresh_process(step: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.memory", "--step", step, str(folder)]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each way (default 3)")
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        print(json.dumps(STEPS[args.step[0]](Path(args.step[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        facts = in_fresh_process("prepare", Path(name))
        print(f"{machine_facts(facts['threads'])}\n")
        records = {way: [in_fresh_process(way, Path(name)) for _ in range(args.rounds)] for way in ("ours", "torchvision")}
    width, height = PHOTO_SIZE
    print(f"{MODEL} with random weights, {width}×{height}; peak resident memory so far in GB (1e9 bytes), median of {args.rounds}.")
    print("Ours goes on to 100 outlines and the drawn picture, torchvision's way ends at boolean masks.\n")
    rows = []
    for way, runs in records.items():
        peaks = [f"{statistics.median(run[stage] for run in runs) / 1e9:.2f}" for stage in ("imports", "model", "detection", "all")]
        rows.append([way, *peaks, f"{statistics.median(run['objects'] for run in runs):.0f}"])
    print(markdown_table(["peak after, GB", "imports", "model", "detection", "everything", "objects"], rows))
    print(f"\nPoints in ours' outlines, all objects: {statistics.median(run['points'] for run in records['ours']):.0f}.")


if __name__ == "__main__":
    main()
