"""What this machine can do; tests of what it cannot do are skipped with the reason that is here."""

from __future__ import annotations

from pathlib import Path

import torch

from detection_core.models.optimized import low_precision
from detection_core.process import glibc_function

NO_INSTRUCTIONS = "this CPU has no instructions for numbers of sixteen bits"
NO_PEAK = "only Linux with glibc reports a process's peak, and some containers forbid it"


def fast_dtype() -> torch.dtype | None:
    """The product's own answer for the CPU: None where it refuses the fast precision."""
    return low_precision.sixteen_bits(torch.device("cpu"))


def reports_a_peak() -> bool:
    """Whether a process can ask for its peak of memory. The system is asked, not the product, whose faults would be skipped."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return glibc_function("malloc_trim") is not None
