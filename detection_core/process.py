"""Memory and thread settings for a process that runs detection on many images; apply them before NumPy and torch are imported."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

# mallopt(3) and malloc.h: the free memory at the heap's end above which it is returned, and how many allocations may use mmap.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT_BYTES = 1 << 30


def configure_process() -> None:
    """Keeps freed memory in the process for the next image, and runs NumPy's small matrix products in one thread.

    Every image needs hundreds of megabytes for a moment. glibc returns large blocks to the system at once, and the kernel clears them
    again for the next layer, which takes a tenth of a ResNet's time; the process keeps up to a gigabyte instead. The product that
    resamples a mask is done before a second thread has woken up, and well before that when a network occupies the other cores.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_freed_memory() -> bool:
    """Returns whole free pages to the system, which takes about 10 ms.

    glibc keeps the free space between blocks that are in use, which soon exceeds the size of the models themselves.

    Returns:
        False if the C library is not glibc, in which case nothing is done.
    """
    trim = glibc_function("malloc_trim")
    if trim is not None:
        trim(0)
    return trim is not None


@cache
def glibc_function(name: str) -> Callable[..., int] | None:
    """Returns the C library's function with that name, or None if it has none, as libraries other than glibc may."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found
