"""The precisions in which models compute, and their suffixes in a model's key.

A model in another precision than exact has its own key: `maskrcnn_resnet50_fpn@fast`. It can therefore be chosen, cached, compared with
the exact model and named in results like any other. This module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from detection_core.settings import read_setting

_BEFORE = "@"


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


def split_key(key: str) -> tuple[str, Precision]:
    """Splits a key into the model's name and its precision; a key without a suffix is exact."""
    name, _, suffix = key.rpartition(_BEFORE)
    if name and suffix in set(Precision) - {Precision.EXACT}:
        return name, Precision(suffix)
    return key, Precision.EXACT


def join_key(name: str, precision: Precision) -> str:
    """Returns the key of a model in a precision, given its key in the exact one."""
    return name if precision is Precision.EXACT else f"{name}{_BEFORE}{precision}"


def precisions_in(keys: Collection[str], name: str) -> list[Precision]:
    """Lists the precisions in which a model is among the keys, such as those of `Engine.model_states`."""
    return [precision for precision in Precision if join_key(name, precision) in keys]


def usual_key(name: str, keys: Collection[str]) -> str:
    """Returns the key of a model in the default precision, or in the exact one if the keys do not contain that.

    Raises:
        SettingsError: If the environment names no precision.
    """
    key = join_key(name, usual_precision())
    return key if key in keys else name


def usual_precision() -> Precision:
    """Returns the default precision: that of the environment variable `DETECTION_EXPLORER_PRECISION`, otherwise exact.

    Raises:
        SettingsError: If the variable names no precision.
    """
    return Precision(read_setting("precision"))
