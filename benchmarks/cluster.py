"""Measures a Ray cluster on this machine, and how many detectors more visitors need: `python -m benchmarks.cluster`.

Prints the overhead of a call at VGA against the local engine; the load of some visitors at one detector, measured and simulated; and,
from the simulation, the detectors for more visitors and images than this machine could serve. Needs requirements-scale.txt.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import numpy as np
import torch

from benchmarks.common import cpu_model
from benchmarks.queueing import Load, detectors_for, simulate
from detection_core.engine import Engine, LocalEngine, Result
from detection_core.engine.ray import DetectorSettings, RayEngine
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec

_PERIOD, _PATIENCE = 0.5, 1.0
_CORES_PER_DETECTOR = 1


def vga_frame() -> LoadedImage:
    return read_image(np.asarray(read_image(ASSETS / "examples" / "astronaut.jpg").image.resize((640, 480))))


def seconds_in_model(result: Result) -> float:
    return result.timings.network + result.timings.post


def overheads(engine: Engine, runs: int) -> tuple[list[float], list[float]]:
    """Returns the seconds that each image was in the model, and the rest of the time that it took."""
    spec, frame = get_model_spec(COCO_MODEL), vga_frame()
    engine.submit(frame, spec, keep=False).result()
    inside, outside = [], []
    for _ in range(runs):
        started = time.perf_counter()
        result = engine.submit(frame, spec, keep=False).result()
        inside.append(seconds_in_model(result))
        outside.append(time.perf_counter() - started - inside[-1])
    return inside, outside


def measure(engine: Engine, visitors: int, seconds: float) -> tuple[Load, list[float]]:
    """Lets visitors send one image after the other; returns what they get, and the seconds of each image in the model."""
    spec, frame = get_model_spec(COCO_MODEL), vga_frame()
    taken: list[float] = []
    inside: list[float] = []
    end = time.perf_counter() + seconds

    def visit(name: str) -> None:
        while (started := time.perf_counter()) < end:
            result = engine.submit(frame, spec, visitor=name, keep=False).result()
            taken.append(time.perf_counter() - started)
            inside.append(seconds_in_model(result))

    threads = [threading.Thread(target=visit, args=(str(number),)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(len(taken) / seconds, statistics.median(taken), statistics.quantiles(taken, n=20)[-1]), inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="images for the overhead")
    parser.add_argument("--seconds", type=float, default=15, help="how long each load is measured")
    args = parser.parse_args()
    print(f"{cpu_model()}; {COCO_MODEL} at 640x480, detectors of {_CORES_PER_DETECTOR} core")
    # As in a detector; threads that wait for each other are slow on a busy machine.
    torch.set_num_threads(_CORES_PER_DETECTOR)
    local, cluster = LocalEngine(cores=1), RayEngine(detectors=DetectorSettings(max_replicas=1, cpus=_CORES_PER_DETECTOR))
    try:
        print("engine   in the model   overhead   (ms, median)")
        service: list[float] = []
        overhead = 0.0
        for name, engine in (("local", local), ("ray", cluster)):
            inside, outside = overheads(engine, args.runs)
            overhead = statistics.median(outside)
            print(f"{name:8} {1000 * statistics.median(inside):12.1f} {1000 * overhead:10.1f}")
        print("visitors   images/s measured, simulated   median s measured, simulated   95 % s measured, simulated")
        for visitors in (1, 2, 4, 8):
            load, inside = measure(cluster, visitors, args.seconds)
            expected = simulate(visitors, 1, inside, overhead=overhead)
            pairs = ((load.images, expected.images), (load.median, expected.median), (load.high, expected.high))
            print(f"{visitors:8}   " + "   ".join(f"{ours:10.2f} {theirs:10.2f}" for ours, theirs in pairs))
            service += inside
    finally:
        cluster.close()
        local.close()
    print(f"One image every {_PERIOD} s from each visitor, 95 % of the results within {_PATIENCE} s:")
    for visitors in (100, 1_000, 10_000):
        print(f"{visitors:6} visitors: {detectors_for(visitors, service, overhead=overhead, period=_PERIOD, patience=_PATIENCE)} detectors")
    each = statistics.fmean(service)
    for detectors in (4, 32, 256):
        print(f"1,000,000 images on {detectors} detectors: {1e6 * each / detectors / 3600:.1f} hours")


if __name__ == "__main__":
    main()
