"""What the benchmarks share: facts about the machine, times taken in turns, and tables in Markdown."""

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
    """One line about where figures were measured; it imports nothing heavy, so that memory can be measured beside it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Machine: {cores} cores of {cpu_model()}; Python {platform.python_version()}, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, {threads} torch threads. Load average over the last minute: {load}."
    )


def cpu_model() -> str:
    """The processor's name as the system tells it, such as "AMD EPYC"; its architecture where no name is told."""
    lines = _CPU_FACTS.read_text().splitlines() if _CPU_FACTS.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def find_chromium() -> str | None:
    """Path of Chromium: $CHROMIUM, or the first one installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


def interleaved(actions: Sequence[Action], rounds: int) -> list[list[float]]:
    """Seconds of each run of each action; the actions take turns, after one that is not counted."""
    seconds: list[list[float]] = [[] for _ in actions]
    for round_ in range(rounds + 1):
        for action, own in zip(actions, seconds, strict=True):
            started = time.perf_counter()
            action()
            if round_:
                own.append(time.perf_counter() - started)
    return seconds


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def median_and_range(values: Sequence[float], digits: int = 0) -> str:
    """Such as "120 (104–310)"."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
