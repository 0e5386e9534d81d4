"""Reading what a browser sent: nothing of it is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from detection_core.visualization import LAYERS, AnnotationStyle

# More classes than any model has.
_MAX_CLASSES = 10_000
_LONGEST_KEY = 300
_Item = TypeVar("_Item")


def bounded(value: object, low: float, high: float, default: float) -> float:
    """A number, clipped to its bounds; `default` for anything that is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        number = float(value)
    except OverflowError:
        return default
    return min(max(number, low), high) if math.isfinite(number) else default


def mapping_of(value: object) -> Mapping[str, Any]:
    """A mapping, as browsers send objects; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def text_of(value: object) -> str:
    """A text; "" for anything else."""
    return value if isinstance(value, str) else ""


def is_model_key(value: object) -> bool:
    """Whether it can be a model's key, which messages may show: a text of one line, no longer than a file's name."""
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_KEY


def read_style(values: Mapping[str, object]) -> AnnotationStyle:
    """Which layers are on and their style; anything missing, of a wrong type or out of range becomes a default or the nearest bound."""
    switches = {name: value for name in LAYERS if isinstance(value := values.get(name), bool)}
    return replace(
        AnnotationStyle(**switches),  # type: ignore[arg-type]
        opacity=bounded(values.get("opacity"), 0, 1, AnnotationStyle.opacity),
        keypoint_threshold=bounded(values.get("keypoint_threshold"), 0, 10, AnnotationStyle.keypoint_threshold),
    )


def items_of_type(value: object, kind: type[_Item]) -> list[_Item]:
    """The items of exactly that type, if it is a list; True is not an int."""
    return [item for item in value[:_MAX_CLASSES] if type(item) is kind] if isinstance(value, list) else []


def plain_settings(settings: Any) -> dict[str, Any]:
    """A view's settings, a dataclass with a `style` and `hidden_classes`, as a flat dictionary that JSON can hold."""
    values: dict[str, Any] = asdict(settings)
    style: dict[str, Any] = values.pop("style")
    return {**values, **style, "hidden_classes": sorted(settings.hidden_classes)}
