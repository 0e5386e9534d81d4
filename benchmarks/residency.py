"""Measures memory over a long time: `python -m benchmarks.residency switches` and `python -m benchmarks.residency requests`.

`switches` loads models in random order, as visitors would, from random weights on the disk; the growth of the process's resident
memory since before the first load is compared with the loader's budget. `requests` sends images to one light model through the engine,
and checks whether memory still grows between the thousandth and the last.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import machine_facts, markdown_table
from detection_core.engine import LocalEngine
from detection_core.images.reading import read_image
from detection_core.models.build import build_empty
from detection_core.models.catalog import ModelSpec, get_model_spec, list_specs
from detection_core.models.empty import NoRandomInitialization
from detection_core.models.loader import ModelLoader
from detection_core.models.optimized import sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.weights import WEIGHTS_DIR
from detection_core.settings import parsers

_LIGHT = "ssdlite320_mobilenet_v3_large"
_IMAGE = (48, 64, 3)
_WARM_UP = 1000
_MEGA = 1e6


def resident_bytes() -> int:
    """Returns this process's resident memory; Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def write_weights(spec: ModelSpec, folder: Path) -> None:
    """Writes random weights under the official name, as if they had been downloaded."""
    with NoRandomInitialization():
        module = build_empty(spec.architecture)
    torch.save(import_module("tests.random_models").random_state(module), folder / spec.file_name)


def switch(loader: ModelLoader, count: int) -> str:
    """Loads models in random order, in every precision that the machine supports, and reports the resident memory."""
    precisions = [precision for precision in Precision if precision is not Precision.FAST or sixteen_bits(loader.device)]
    variants = [spec.in_precision(precision) for spec in list_specs() for precision in precisions]
    # The imports of the first load stay in memory and belong to no model.
    loader.load(variants[0])
    loader.unload(variants[0].key)
    _wait_for_loads()
    before = resident_bytes()
    beyond, kept, seconds = [], [], []
    for number, spec in enumerate(random.Random(0).choices(variants, k=count), start=1):
        there = loader.state(spec) == "in memory"
        started = time.perf_counter()
        loader.load(spec)
        if not there:
            seconds.append(time.perf_counter() - started)
            _wait_for_loads()
        kept.append(sum(model.bytes for model in loader.resident()))
        beyond.append(resident_bytes() - before)
        if number % max(count // 10, 1) == 0:
            print(f"{number} switches: models {kept[-1] / _MEGA:.0f} MB, process {beyond[-1] / _MEGA:.0f} MB", flush=True)
    over = max(process - models for process, models in zip(beyond, kept, strict=True))
    rows = [
        ["budget", f"{loader.budget_bytes / _MEGA:.0f}"],
        ["models in memory, most at any step", f"{max(kept) / _MEGA:.0f}"],
        ["process beyond what it had at first, most at any step", f"{max(beyond) / _MEGA:.0f}"],
        ["process beyond its models, most at any step", f"{over / _MEGA:.0f}"],
        ["process beyond its models, median of the first and of the last quarter", _quarters(beyond, kept)],
    ]
    loads = f"{len(seconds)} of {count} switches had to load, {statistics.median(seconds):.2f} s each (median)."
    return f"{markdown_table(['', 'MB'], rows)}\n\n{loads}"


def _wait_for_loads() -> None:
    """Waits for the threads of loads, which free memory after their callers have returned."""
    for thread in threading.enumerate():
        if thread.name.startswith("load "):
            thread.join()


def _quarters(beyond: list[int], kept: list[int]) -> str:
    extra = [(process - models) / _MEGA for process, models in zip(beyond, kept, strict=True)]
    quarter = max(len(extra) // 4, 1)
    return f"{statistics.median(extra[:quarter]):.0f}, {statistics.median(extra[-quarter:]):.0f}"


def request(count: int, *, keep: bool) -> list[str]:
    """Sends a number of different small images one after the other; returns a row of the table."""
    engine, spec = LocalEngine(), get_model_spec(_LIGHT)
    plateau = 0
    started = time.perf_counter()
    for number in range(1, count + 1):
        pixels = np.full(_IMAGE, number % 256, np.uint8)
        pixels[0, 0] = (*divmod(number, 256), 0)
        engine.submit(read_image(pixels), spec, visitor=str(number), keep=keep).result()
        if number == min(_WARM_UP, count):
            plateau = resident_bytes()
    seconds = time.perf_counter() - started
    last = resident_bytes()
    engine.close()
    figures = [f"{plateau / _MEGA:.0f}", f"{last / _MEGA:.0f}", f"{(last - plateau) / _MEGA:+.1f}", f"{seconds / count * 1e3:.1f}"]
    return ["results kept" if keep else "not kept", *figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("what", choices=["switches", "requests"])
    parser.add_argument("--count", type=int, metavar="N", help="default: 500 switches, 10,000 requests")
    parser.add_argument("--budget", type=parsers.size, default="600MB", metavar="SIZE", help="of models, for switches (default: 600MB)")
    options = parser.parse_args()
    print(f"{machine_facts(torch.get_num_threads())}\n")
    with tempfile.TemporaryDirectory() as name:
        os.environ[WEIGHTS_DIR] = name
        wanted = [spec for spec in list_specs() if spec.source == "torchvision" and (options.what == "switches" or spec.key == _LIGHT)]
        for spec in wanted:
            write_weights(spec, Path(name))
        if options.what == "switches":
            print(switch(ModelLoader(options.budget), options.count or 500))
            return
        count = options.count or 10_000
        rows = [request(count, keep=keep) for keep in (False, True)]
    header = [_LIGHT, f"MB after {min(_WARM_UP, count):,}", f"MB after {count:,}", "MB more", "ms each"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
