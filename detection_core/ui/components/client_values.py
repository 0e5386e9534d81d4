"""Reading what a browser sent: nothing of it is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

LAYERS = ("boxes", "masks", "contours", "skeletons", "labels")
# More classes than any model has.
_MAX_CLASSES = 10_000
_Item = TypeVar("_Item")


def bounded(value: object, low: float, high: float, default: float) -> float:
    """A number within its bounds; `default` for anything that is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        number = float(value)
    except OverflowError:
        return default
    return min(max(number, low), high) if math.isfinite(number) else default


def text_of(value: object) -> str:
    """A text; "" for anything else."""
    return value if isinstance(value, str) else ""


def layer_switches(values: Mapping[str, object]) -> dict[str, bool]:
    """Which of `LAYERS` are on or off, where it says so."""
    return {name: value for name in LAYERS if isinstance(value := values.get(name), bool)}


def items_of_type(value: object, kind: type[_Item]) -> list[_Item]:
    """The items of exactly that type, if it is a list; True is no int."""
    return [item for item in value[:_MAX_CLASSES] if type(item) is kind] if isinstance(value, list) else []
