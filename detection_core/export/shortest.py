"""Float32 numbers as decimals in the fewest digits that give them back."""

from __future__ import annotations

import numpy as np


def shortest(value: np.float32) -> float:
    """The number with the fewest digits that is this float32 again when read; NaN and infinities stay."""
    return float(str(value))
