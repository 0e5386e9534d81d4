"""How a process that looks at one picture after the other uses memory and threads; set before NumPy and torch are imported."""

from __future__ import annotations

import os

from detection_core import glibc

# mallopt(3) and malloc.h: the free memory at the heap's end beyond which it is given back, and how many allocations get pages of their own.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT_BYTES = 1 << 30


def settle() -> None:
    """Keeps freed memory for the next picture, and NumPy's small products in one thread.

    Every picture needs hundreds of megabytes for a moment. glibc gives large pieces back at once, and the kernel clears them anew for the
    next layer, which takes a tenth of a ResNet's time; up to a gigabyte stays with the process instead. And a product that pastes a mask
    is over before a second thread has woken up, or long before it is, where a network has the other cores.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = glibc.find("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
