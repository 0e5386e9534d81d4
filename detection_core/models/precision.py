"""Precision: in which numbers a model computes, and how a model's key names it.

A model in another precision than the usual one is a model of its own: `maskrcnn_resnet50_fpn@fast`. So it can be chosen, kept, compared
with its exact self, and found named in every result wherever models are. Imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import StrEnum

from detection_core.errors import SettingsError

_USUAL = "DETECTION_EXPLORER_PRECISION"
_BEFORE = "@"


class Precision(StrEnum):
    """In which numbers, and by whose modules, a model computes.

    Attributes:
        EXACT: float32, by modules that find what torchvision's find, sooner; the usual one.
        FAST: bfloat16 on a CPU, float16 on a GPU: several times as fast, and a little off.
        STOCK: float32, by torchvision's modules as they are: the reference.
    """

    EXACT = "exact"
    FAST = "fast"
    STOCK = "stock"


def split_key(key: str) -> tuple[str, Precision]:
    """A key without its precision, and that; what no precision is named in stays as it is."""
    name, _, suffix = key.rpartition(_BEFORE)
    if name and suffix in set(Precision) - {Precision.EXACT}:
        return name, Precision(suffix)
    return key, Precision.EXACT


def join_key(name: str, precision: Precision) -> str:
    """The key of a model in a precision, of its key in the usual one."""
    return name if precision is Precision.EXACT else f"{name}{_BEFORE}{precision}"


def precisions_in(keys: Collection[str], name: str) -> list[Precision]:
    """The precisions in which a model is among the keys, such as those of `Engine.model_states`."""
    return [precision for precision in Precision if join_key(name, precision) in keys]


def usual_key(name: str, keys: Collection[str]) -> str:
    """The key of a model in the usual precision, or in the exact one where the keys have none in that.

    Raises:
        SettingsError: If the environment names no precision.
    """
    key = join_key(name, usual_precision())
    return key if key in keys else name


def usual_precision() -> Precision:
    """The one that is taken where nobody chooses: that of the environment variable `DETECTION_EXPLORER_PRECISION`, otherwise exact.

    Raises:
        SettingsError: If the variable names none.
    """
    name = os.environ.get(_USUAL, Precision.EXACT)
    try:
        return Precision(name)
    except ValueError:
        raise SettingsError(f"{_USUAL} must be one of {', '.join(Precision)}, not “{name}”.") from None


def use_precision(precision: Precision) -> None:
    """Makes a precision the usual one, for this process and those that it starts."""
    os.environ[_USUAL] = precision
