"""Measures the parts of a start in fresh processes: help, imports, the page, and the first example's result."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict

import torch

from benchmarks.common import machine_facts, markdown_table, median_and_range
from benchmarks.page import ROOT, free_port, wait_for_answer

HELPS = ["app.py", *(f"-m detection_core{command}" for command in ("", " models", " detect", " compare", " train", " serve"))]
# Runs in a fresh process: imports in parts, without garbage collection as in `serve`, prints the time of each, and serves.
SERVE = """
import gc, json, sys, time
gc.disable()
moments = [time.perf_counter()]
import torch, torchvision
moments.append(time.perf_counter())
import gradio
moments.append(time.perf_counter())
import detection_core.engine, detection_core.ui.app
moments.append(time.perf_counter())
print(json.dumps(moments), flush=True)
from detection_core.cli.main import main
main(["serve", "--port", sys.argv[1]])
"""
PARTS = ("import of torch and torchvision", "import of gradio", "import of the rest")


def help_seconds(command: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command.split(), "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def start_seconds() -> dict[str, float]:
    """Returns the seconds of the parts of one start."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        moments = json.loads(process.stdout.readline())
        imported = time.perf_counter()
        wait_for_answer(f"http://127.0.0.1:{port}/")
        answered = time.perf_counter()
        while "warm" not in process.stdout.readline():
            assert process.poll() is None
        ready = time.perf_counter()
        process.terminate()
    parts = {name: end - begin for name, begin, end in zip(PARTS, moments, moments[1:], strict=False)}
    return parts | {"imports done → page answers": answered - imported, "page answers → example's result is ready": ready - answered}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each kind (default 5)")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(args.rounds):
        for command in HELPS:
            seconds[f"`{command} --help`"].append(help_seconds(command))
        for part, taken in start_seconds().items():
            seconds[part].append(taken)
    rows = [[what, median_and_range(taken, 2), str(len(taken))] for what, taken in seconds.items()]
    print(f"{machine_facts(torch.get_num_threads())}\n\n{markdown_table(['start, s', 'median (range)', 'n'], rows)}")


if __name__ == "__main__":
    main()
