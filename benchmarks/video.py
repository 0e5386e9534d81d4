"""Measures videos: the frame rate from file to annotated file and of the detector alone, and peak memory for 10 s and 100 s.

This process imports nothing heavy, because a child's peak starts from its parent's memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import machine_facts, markdown_table, median_and_range
from benchmarks.memory import peak_bytes

ROOT = Path(__file__).resolve().parent.parent
MODEL = "person_mobilenet_v2_fpn"
SIZE = (640, 480)
FPS = 25
SECONDS = (10, 100)
# Frames for the throughput; each round runs detection on all of them twice.
FRAMES = 50
PEOPLE = ("grace_hopper.jpg", "astronaut.jpg", "cameraman.jpg")


def make(path: Path, frames: int) -> None:
    """Writes a video in which the people of the example images walk past each other over another of the images."""
    import numpy as np
    from PIL import Image

    from detection_core.models.catalog import ASSETS
    from detection_core.video.io import VideoWriter

    examples = ASSETS / "examples"
    background = Image.open(examples / "coffee.jpg").convert("RGB").resize(SIZE)
    people = [Image.open(examples / name).convert("RGB").resize((200, 260)) for name in PEOPLE]
    with VideoWriter(path, SIZE, FPS) as writer:
        for index in range(frames):
            image = background.copy()
            for number, person in enumerate(people):
                way = SIZE[0] + person.width
                step = (2 + number) * index + 250 * number
                left = step % way if number % 2 else way - step % way
                image.paste(person, (left - person.width, 60 + 70 * number))
            writer.write(np.asarray(image))


def throughput(folder: Path, rounds: int) -> dict[str, Any]:
    """Returns the seconds per frame, alternately of the detector alone and from file to file."""
    import torch
    from PIL import Image

    from detection_core.detections import Detections
    from detection_core.engine import LocalEngine
    from detection_core.images.reading import read_image
    from detection_core.models.catalog import get_model_spec
    from detection_core.models.detector import Detector
    from detection_core.models.loader import ModelLoader
    from detection_core.video import FrameResults, VideoOptions, detect_video, lowest_kept
    from detection_core.video.io import open_video

    make(folder / "video.mp4", FRAMES)
    spec = get_model_spec(MODEL)
    loader = ModelLoader()
    detector = Detector(spec, loader=loader)
    # As in the command line and the page.
    engine = LocalEngine(loader=loader)

    def detect(image: Image.Image) -> Detections:
        return engine.submit(read_image(image), spec, keep=False).result().detections

    images = [Image.fromarray(frame.image) for frame in open_video(folder / "video.mp4").frames()]
    options = VideoOptions(spec.default_threshold)
    floor = lowest_kept(spec.min_score, spec.default_threshold)
    found = [len(detector.detect(image)) for image in images]
    ways: dict[str, list[float]] = {"detector alone": [], "file to file": []}
    for _ in range(rounds):
        started = time.perf_counter()
        for image in images:
            detector.detect(image)
        ways["detector alone"].append((time.perf_counter() - started) / FRAMES)
        started = time.perf_counter()
        with FrameResults(open_video(folder / "video.mp4")) as records:
            detect_video(records, detect, folder / "out.mp4", options, floor=floor, max_in_flight=engine.max_in_flight)
        ways["file to file"].append((time.perf_counter() - started) / FRAMES)
    return {"ways": ways, "objects": statistics.mean(found), "threads": torch.get_num_threads()}


def memory(folder: Path, seconds: int) -> dict[str, Any]:
    """Measures the command line's peak memory on a prepared video, including the loaded model."""
    from detection_core.cli.main import main

    arguments = [str(folder / f"{seconds}.mp4"), "--model", MODEL, "--out", str(folder / "out"), "--format", "mp4,json,coco,csv,mot"]
    started = time.perf_counter()
    if main(["detect", *arguments]):
        raise SystemExit("the video could not be processed")
    return {"peak": peak_bytes(), "seconds": time.perf_counter() - started}


def prepare(folder: Path, seconds: int) -> dict[str, Any]:
    """Writes a video of a number of seconds."""
    make(folder / f"{seconds}.mp4", seconds * FPS)
    return {}


STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {"throughput": throughput, "memory": memory, "prepare": prepare}


def in_fresh_process(step: str, folder: Path, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.video", "--step", step, str(folder), str(number)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def show_throughput(folder: Path, rounds: int) -> None:
    result = in_fresh_process("throughput", folder, rounds)
    print(f"{machine_facts(result['threads'])}\n")
    print(
        f"{FRAMES} frames of {SIZE[0]}×{SIZE[1]} with {MODEL}, {result['objects']:.1f} objects a frame above its floor; "
        f"file to file is reading, detecting, tracking, drawing and writing H.264; median (range) of {rounds} rounds in turns.\n"
    )
    alone = result["ways"]["detector alone"]
    rows = []
    for way, each in result["ways"].items():
        share = [100 * one / other for one, other in zip(alone, each, strict=True)]
        rows.append(
            [way, median_and_range([1000 * value for value in each]), f"{1 / statistics.median(each):.1f}", median_and_range(share)]
        )
    print(markdown_table(["way", "ms a frame", "frames/s", "% of the detector's rate"], rows))


def show_memory(folder: Path, rounds: int, lengths: tuple[int, ...]) -> None:
    for seconds in lengths:
        in_fresh_process("prepare", folder, seconds)
    runs = {seconds: [in_fresh_process("memory", folder, seconds) for _ in range(rounds)] for seconds in lengths}
    print(f"\n`detect VIDEO --format mp4,json,coco,csv,mot`, every frame; peak resident memory in MB (1e6 bytes), median of {rounds}.\n")
    rows = [
        [
            f"{seconds} s",
            f"{seconds * FPS}",
            *(f"{statistics.median(run[name] for run in done) / unit:.0f}" for name, unit in (("peak", 1e6), ("seconds", 1))),
        ]
        for seconds, done in runs.items()
    ]
    print(markdown_table(["video", "frames", "MB, peak", "seconds in all"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the throughput (default 5)")
    parser.add_argument("--memory-rounds", type=int, default=1, help="fresh processes for each length; 0 leaves memory out (default 1)")
    parser.add_argument("--seconds", type=int, nargs="+", default=SECONDS, help="lengths whose memory is compared (default 10 100)")
    parser.add_argument("--step", nargs=3, metavar=("STEP", "DIR", "NUMBER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        step, folder, number = args.step
        print(json.dumps(STEPS[step](Path(folder), int(number))))
        return
    with tempfile.TemporaryDirectory() as name:
        show_throughput(Path(name), args.rounds)
        if args.memory_rounds:
            show_memory(Path(name), args.memory_rounds, tuple(args.seconds))


if __name__ == "__main__":
    main()
