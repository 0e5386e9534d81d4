"""Detection Explorer's core: all of torchvision's detectors behind one interface, and what it takes to see their results."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection_core.catalog import ModelSpec, UnknownModelError, get_spec, list_models
    from detection_core.detections import Detections
    from detection_core.detector import Detector
    from detection_core.images import ImageError, load_image
    from detection_core.visualization import Style, annotate
    from detection_core.weights import WeightsError

__version__ = "0.1.0"
__all__ = [
    "Detections",
    "Detector",
    "ImageError",
    "ModelSpec",
    "Style",
    "UnknownModelError",
    "WeightsError",
    "annotate",
    "get_spec",
    "list_models",
    "load_image",
]

# Imported when first used (PEP 562): torch takes seconds, and `--help` or drawing need none of it.
_HOMES = {
    "Detections": "detections",
    "Detector": "detector",
    "ImageError": "images",
    "ModelSpec": "catalog",
    "Style": "visualization",
    "UnknownModelError": "catalog",
    "WeightsError": "weights",
    "annotate": "visualization",
    "get_spec": "catalog",
    "list_models": "catalog",
    "load_image": "images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
