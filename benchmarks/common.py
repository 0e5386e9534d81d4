"""Functions shared by the benchmarks: facts about the machine, interleaved timings, and tables in Markdown."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

Action = Callable[[], object]

_CPU_FACTS = Path("/proc/cpuinfo")


def machine_facts(threads: int) -> str:
    """Describes the machine and its software in one line; imports nothing heavy, so that it does not disturb memory figures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Machine: {cores} cores of {cpu_model()}; Python {platform.python_version()}, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, {threads} torch threads. Load average over the last minute: {load}."
    )


def cpu_model() -> str:
    """Returns the processor's name, such as "AMD EPYC", or its architecture if the system gives no name."""
    lines = _CPU_FACTS.read_text().splitlines() if _CPU_FACTS.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def find_chromium() -> str | None:
    """Returns the path of Chromium: $CHROMIUM, or the first one installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


def interleaved(actions: Sequence[Action], rounds: int) -> list[list[float]]:
    """Times the runs of several actions in seconds; the actions alternate, after one uncounted run of each."""
    seconds: list[list[float]] = [[] for _ in actions]
    for round_ in range(rounds + 1):
        for action, own in zip(actions, seconds, strict=True):
            started = time.perf_counter()
            action()
            if round_:
                own.append(time.perf_counter() - started)
    return seconds


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Formats a table whose first column is text and whose other columns are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def median_and_range(values: Sequence[float], digits: int = 0) -> str:
    """Formats median and range, such as "120 (104–310)"."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
