"""The precisions in which models compute. This module imports nothing heavy."""

from __future__ import annotations

from enum import StrEnum

from detection_core.settings import read_setting


class Precision(StrEnum):
    """The number format and the modules with which a model computes.

    Attributes:
        EXACT: float32, by faster modules that return what torchvision's return; the default.
        FAST: bfloat16 on a CPU, float16 on a GPU: several times as fast, with slightly different results.
        STOCK: float32, by torchvision's unchanged modules: the reference.
    """

    EXACT = "exact"
    FAST = "fast"
    STOCK = "stock"


def usual_precision() -> Precision:
    """Returns the default precision: that of the environment variable `DETECTION_EXPLORER_PRECISION`, otherwise exact.

    Raises:
        SettingsError: If the variable names no precision.
    """
    return Precision(read_setting("precision"))
