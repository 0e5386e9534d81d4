"""How much memory a piece of work takes beyond what was resident before it."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from detection_core.process import release_freed_memory

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# proc(5): writing 5 to clear_refs sets the peak (VmHWM) back to what is resident now.
_RESET_PEAK = "5"

Peak = Callable[[], int | None]


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Watches the memory that the work inside takes: main memory on a CPU (Linux only), the device's own on CUDA.

    It is about the whole process, so nothing else should run. What the allocator has kept from earlier work is given back
    first; otherwise the same work would seem to take nothing the second time.

    Args:
        device: Where the work is done.

    Yields:
        A function that returns, in or after the block, the bytes that it took at its peak; None if they are unknown.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
        return
    resident = _reset() if device.type == "cpu" else None
    yield lambda: None if resident is None else max(_from_status("VmHWM") - resident, 0)


def _reset() -> int | None:
    """Lets the peak begin anew, and returns the bytes that are resident now; None where there is no such thing."""
    try:
        gc.collect()
        if not release_freed_memory():
            return None
        _CLEAR_REFS.write_text(_RESET_PEAK)
        return _from_status("VmRSS")
    except OSError:  # No Linux, or a container that forbids it.
        return None


def _from_status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"{_STATUS} has no {field}")
    return int(found[1]) * 1024
