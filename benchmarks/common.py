"""What the benchmarks share: facts about the machine, medians, and tables in Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")


def machine_facts(threads: int) -> str:
    """One line about where figures were measured; it imports nothing heavy, so that memory can be measured beside it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Machine: {cores} cores of {_cpu_model()}; Python {platform.python_version()}, torch {version('torch')}, "
        f"torchvision {version('torchvision')}, {threads} torch threads. Load average over the last minute: {load}."
    )


def _cpu_model() -> str:
    lines = _CPU_FACTS.read_text().splitlines() if _CPU_FACTS.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def median_and_range(values: Sequence[float], digits: int = 0) -> str:
    """Such as "120 (104–310)"."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
