"""Determines how many bytes of models may stay in memory on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from detection_core.settings import read_setting

_MEMINFO = Path("/proc/meminfo")
# A container's memory limit, under version 2 and version 1 of control groups.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_WHERE_UNKNOWN = 4 << 30


def memory_budget(device: torch.device) -> int:
    """Returns the bytes that `DETECTION_EXPLORER_MEMORY_BUDGET` allows, or half of what is free on the device.

    Raises:
        SettingsError: If the environment variable is not a size such as "4GiB".
    """
    allowed: int | None = read_setting("memory_budget")
    if allowed is not None:
        return allowed
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    return free // 2


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
