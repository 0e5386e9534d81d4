"""What this machine's CPU can do, asked as the product asks it; what it cannot do is skipped with this reason."""

from __future__ import annotations

import torch

from detection_core.fast import low_precision

NO_INSTRUCTIONS = "this CPU has no instructions for numbers of sixteen bits"


def fast_dtype() -> torch.dtype | None:
    """The product's own answer for the CPU: None where it refuses the fast precision."""
    return low_precision.sixteen_bits(torch.device("cpu"))
