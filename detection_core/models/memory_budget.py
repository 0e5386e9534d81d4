"""Determines how many bytes of models may stay in memory on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from detection_core.errors import SettingsError

BUDGET = "DETECTION_EXPLORER_MEMORY_BUDGET"

_MEMINFO = Path("/proc/meminfo")
# A container's memory limit, under version 2 and version 1 of control groups.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_WHERE_UNKNOWN = 4 << 30
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def memory_budget(device: torch.device) -> int:
    """Returns the bytes that `DETECTION_EXPLORER_MEMORY_BUDGET` allows, or half of what is free on the device.

    Raises:
        SettingsError: If the environment variable is not a size such as "4GiB".
    """
    if setting := os.environ.get(BUDGET):
        return parse_size(setting)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    return free // 2


def parse_size(text: str) -> int:
    """Turns "500MB" (decimal), "4GiB" (binary) or a plain number of bytes into bytes.

    Raises:
        SettingsError: If it is none of these; the message names the environment variable.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise SettingsError(f"{BUDGET} is “{text}”, which is not a size: give bytes, or a number with a unit such as 4GiB or 500MB.")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix.lower() or " "))


def available_memory() -> int:
    """Returns the bytes of main memory available to this process: the free memory, but at most its container's limit."""
    limits = (file.read_text().strip() for file in _CGROUP_LIMITS if file.exists())
    return min([_free_memory(), *(int(limit) for limit in limits if limit != "max")])


def _free_memory() -> int:
    if _MEMINFO.exists() and (match := re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)):
        return int(match[1]) * 1024
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _WHERE_UNKNOWN
