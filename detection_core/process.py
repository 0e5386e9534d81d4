"""How a process that looks at one image after the other uses memory and threads; call it before NumPy and torch are imported."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

# mallopt(3) and malloc.h: the free memory at the heap's end beyond which it is given back, and how many allocations get pages of their own.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT_BYTES = 1 << 30


def configure_process() -> None:
    """Keeps freed memory for the next image, and NumPy's small products in one thread.

    Every image needs hundreds of megabytes for a moment. glibc returns large blocks to the system at once, and the kernel clears them
    again for the next layer, which takes a tenth of a ResNet's time; up to a gigabyte stays with the process instead. A product that
    pastes a mask ends before a second thread has woken up, and long before that when a network occupies the other cores.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_freed_memory() -> bool:
    """Returns whole free pages to the system, which takes about 10 ms.

    glibc keeps the free space between blocks that are in use, which soon is more than models themselves take.

    Returns:
        False where the C library is not glibc and nothing is done.
    """
    trim = glibc_function("malloc_trim")
    if trim is not None:
        trim(0)
    return trim is not None


@cache
def glibc_function(name: str) -> Callable[..., int] | None:
    """The C library's function of that name, or None where it has none, as other libraries than glibc."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found
