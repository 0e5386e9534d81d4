"""The input size of a model: to how many pixels it resizes the shorter side of an image.

torchvision's detectors but the SSDs resize an image inside, until its shorter side has `min_size` pixels or its longer side `max_size`. At
another input size a model keeps the ratio of the two that it was trained with: 1333 to 800 for most, 640 to 320 for
`fasterrcnn_mobilenet_v3_large_320_fpn`, 512 to 320 for the built-in person model.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from detection_core.models.families import FAMILIES, Family
from detection_core.models.model_key import VariantError

SMALLEST, LARGEST = 320, 1333


def why_one_size(family: Family) -> str:
    """Returns why a family's models have one input size only, as a sentence; "" for those that have others."""
    if FAMILIES[family].resizes:
        return ""
    return f"{family} models have one input size only: their anchors are laid out for images of the one size that they were trained at."


def check_input_size(title: str, family: Family, size: int) -> None:
    """Checks that a model runs at an input size.

    Args:
        title: The model's name for people.
        family: Its family.
        size: The shorter side in pixels.

    Raises:
        VariantError: If it does not; the message says why.
    """
    if reason := why_one_size(family):
        raise VariantError(f"{title} cannot run at {size} px. {reason} Leave the input size out, or choose a model of another family.")
    if not SMALLEST <= size <= LARGEST:
        raise VariantError(f"The input size of {title} must be from {SMALLEST} to {LARGEST} px, not {size} px.")


def longer_side(size: int, min_size: int, max_size: int) -> int:
    """Returns the bound on the longer side at an input size, in the ratio of a model's own `min_size` and `max_size`."""
    return round(size * max_size / min_size)


def at_input_size(module: nn.Module, size: int) -> nn.Module:
    """Returns a detector at another input size, which computes what torchvision's builder with `min_size` and `max_size` would.

    Args:
        module: A detector that resizes by the shorter side; torchvision's own, or one returned by `optimize`. It is not changed.
        size: The shorter side in pixels.

    Returns:
        A detector with a transform of its own; all other parts are the module's.
    """
    transform: Any = copy.copy(module.transform)
    transform.max_size = longer_side(size, transform.min_size[-1], transform.max_size)
    transform.min_size = (size,)
    sized = copy.copy(module)
    # The copy would otherwise share the mapping of its parts, and replace the original's transform.
    sized._modules = {**module._modules, "transform": transform}
    return sized
