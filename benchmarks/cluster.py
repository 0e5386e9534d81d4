"""Measures a Ray cluster on this machine, and how many detectors more visitors need: `python -m benchmarks.cluster`.

Prints the overhead of a call at VGA against the local engine; the load of some visitors at one detector, measured and simulated; and,
from the simulation, the detectors for more visitors and images than this machine could serve. Needs requirements-scale.txt.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import threading
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import cpu_model
from benchmarks.queueing import WARM_UP, ImageTimes, Load, detectors_for, simulate
from detection_core.engine import Engine, LocalEngine, Result
from detection_core.engine.ray import DetectorSettings, RayEngine
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec

_PERIOD, _PATIENCE = 0.5, 1.0
_CORES_PER_DETECTOR = 1
VISITORS = (1, 2, 4, 8)
# By so much the simulation may differ from what was measured.
_ACCURACY = 0.15


def vga_frame() -> LoadedImage:
    return read_image(np.asarray(read_image(ASSETS / "examples" / "astronaut.jpg").image.resize((640, 480))))


def times_of(result: Result, taken: float) -> ImageTimes:
    """Divides the seconds that an image took; its time in line belongs to none of the parts."""
    service = result.timings.network + result.timings.post
    return ImageTimes(service, taken - service - result.timings.wait)


def one_by_one(engine: Engine, runs: int) -> list[ImageTimes]:
    """Returns what images take of which each is sent when the one before is done."""
    spec, frame = get_model_spec(COCO_MODEL), vga_frame()
    engine.submit(frame, spec, keep=False).result()
    measured = []
    for _ in range(runs):
        started = time.perf_counter()
        result = engine.submit(frame, spec, keep=False).result()
        measured.append(times_of(result, time.perf_counter() - started))
    return measured


def measure(engine: Engine, visitors: int, seconds: float) -> tuple[Load, list[ImageTimes]]:
    """Lets visitors send one image after the other; returns what they get, and the times of single images in their order."""
    spec, frame = get_model_spec(COCO_MODEL), vga_frame()
    answers: list[tuple[float, float]] = []
    measured: list[ImageTimes] = []
    begin = time.perf_counter()

    def visit(name: str) -> None:
        while (sent := time.perf_counter() - begin) < seconds:
            result = engine.submit(frame, spec, visitor=name, keep=False).result()
            taken = time.perf_counter() - begin - sent
            answers.append((sent, taken))
            # Also of those that were sent before: others have waited for them.
            if sent + taken > WARM_UP * seconds:
                measured.append(times_of(result, taken))

    threads = [threading.Thread(target=visit, args=(str(number),)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load.of(answers, seconds), measured


def page_seconds() -> float:
    """Returns the CPU seconds so far of this process, which is the page's, and of the gateway to the cluster."""
    seconds = time.process_time()
    for gateway in multiprocessing.active_children():
        # After the name, which may have spaces: user and system time in ticks, as proc(5) says.
        fields = Path(f"/proc/{gateway.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="images for the overhead")
    parser.add_argument("--seconds", type=float, default=30, help="how long each load is measured")
    args = parser.parse_args()
    print(f"{cpu_model()}; {COCO_MODEL} at 640x480, detectors of {_CORES_PER_DETECTOR} core")
    # As in a detector; threads that wait for each other are slow on a busy machine.
    torch.set_num_threads(_CORES_PER_DETECTOR)
    local, cluster = LocalEngine(cores=1), RayEngine(detectors=DetectorSettings(max_replicas=1, cpus=_CORES_PER_DETECTOR))
    worst, measured = 0.0, list[ImageTimes]()
    try:
        print("engine   in the model   overhead   (ms, median)")
        for name, engine in (("local", local), ("ray", cluster)):
            before = page_seconds()
            alone = one_by_one(engine, args.runs)
            service, overhead = (1000 * statistics.median(getattr(image, part) for image in alone) for part in ("service", "overhead"))
            print(f"{name:8} {service:12.1f} {overhead:10.1f}")
        passing = (page_seconds() - before) / (args.runs + 1)
        print(f"The page passes an image on in {1000 * passing:.1f} ms of CPU time: at most {1 / passing:.0f} images/s for each page.")
        print("visitors   images/s measured, simulated   median s measured, simulated   95 % s measured, simulated")
        for visitors in VISITORS:
            # What remains of this list are the times under the highest load, in which detector and page share the cores.
            load, measured = measure(cluster, visitors, args.seconds)
            # Longer, so that it begins at every place among the times.
            expected = simulate(visitors, 1, measured, seconds=20 * args.seconds)
            worst = max(worst, load.deviation(expected))
            pairs = ((load.images, expected.images), (load.median, expected.median), (load.high, expected.high))
            print(f"{visitors:8}   " + "   ".join(f"{ours:10.2f} {theirs:10.2f}" for ours, theirs in pairs))
    finally:
        cluster.close()
        local.close()
    print(f"The simulation differs from what was measured by at most {worst:.0%}.")
    if worst > _ACCURACY:
        raise SystemExit(f"This is more than {_ACCURACY:.0%}, so it is not used for more visitors. Measure for longer, on a quiet machine.")
    print(f"One image every {_PERIOD} s from each visitor, 95 % of the results within {_PATIENCE} s:")
    for visitors in (100, 1_000, 10_000):
        print(f"{visitors:6} visitors: {detectors_for(visitors, measured, period=_PERIOD, patience=_PATIENCE)} detectors")
    each = statistics.fmean(image.service for image in measured)
    for detectors in (4, 32, 256):
        print(f"1,000,000 images on {detectors} detectors: {1e6 * each / detectors / 3600:.1f} hours")


if __name__ == "__main__":
    main()
