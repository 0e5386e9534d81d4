"""Detection Explorer's core: all of torchvision's detectors behind one interface, and what it takes to see their results."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection_core.batch import Batch
    from detection_core.datasets.coco import DataError, read_coco
    from detection_core.datasets.preparation import Data
    from detection_core.detections import Detections
    from detection_core.detections.comparison import Comparison, compare, consensus
    from detection_core.detections.tracking import Tracked, Tracker
    from detection_core.evaluation import Evaluation, evaluate
    from detection_core.formats import (
        ImportFormatError,
        PictureResult,
        Provenance,
        from_json,
        provenance_of,
        read_coco_results,
        to_coco_results,
        to_json,
    )
    from detection_core.images.reading import ImageError, load_image
    from detection_core.inputs import find_pictures
    from detection_core.models.builders import detector_on_backbone
    from detection_core.models.catalog import UnknownModelError, get_spec, list_models
    from detection_core.models.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
    from detection_core.models.detector import Detector
    from detection_core.models.spec import Architecture, ModelSpec
    from detection_core.models.user_models import spec_of_file
    from detection_core.models.weights import WeightsError
    from detection_core.training.fine_tune import train
    from detection_core.training.recipe import Augmentation, Recipe
    from detection_core.video import ClipOptions, ClipRecords, count_series, detect_clip, export_clip, render_clip
    from detection_core.video.io import VideoError, open_video
    from detection_core.visualization import Style, annotate, draw_difference

__version__ = "0.1.0"
__all__ = [
    "Architecture",
    "Augmentation",
    "Batch",
    "Checkpoint",
    "CheckpointError",
    "ClipOptions",
    "ClipRecords",
    "Comparison",
    "Data",
    "DataError",
    "Detections",
    "Detector",
    "Evaluation",
    "ImageError",
    "ImportFormatError",
    "ModelSpec",
    "PictureResult",
    "Provenance",
    "Recipe",
    "Style",
    "Tracked",
    "Tracker",
    "UnknownModelError",
    "VideoError",
    "WeightsError",
    "annotate",
    "compare",
    "consensus",
    "count_series",
    "detect_clip",
    "detector_on_backbone",
    "draw_difference",
    "evaluate",
    "export_clip",
    "find_pictures",
    "from_json",
    "get_spec",
    "list_models",
    "load_image",
    "open_video",
    "provenance_of",
    "read_checkpoint",
    "read_coco",
    "read_coco_results",
    "render_clip",
    "spec_of_file",
    "to_coco_results",
    "to_json",
    "train",
    "write_checkpoint",
]

# Imported when first used (PEP 562): torch takes seconds, and `--help` or drawing need none of it.
_HOMES = {
    "Architecture": "models.spec",
    "Augmentation": "training.recipe",
    "Batch": "batch",
    "Checkpoint": "models.checkpoint",
    "CheckpointError": "models.checkpoint",
    "ClipOptions": "video",
    "ClipRecords": "video",
    "Comparison": "detections.comparison",
    "Data": "datasets.preparation",
    "DataError": "datasets.coco",
    "Detections": "detections",
    "Detector": "models.detector",
    "Evaluation": "evaluation",
    "ImageError": "images.reading",
    "ImportFormatError": "formats",
    "ModelSpec": "models.spec",
    "PictureResult": "formats",
    "Provenance": "formats",
    "Recipe": "training.recipe",
    "Style": "visualization",
    "Tracked": "detections.tracking",
    "Tracker": "detections.tracking",
    "UnknownModelError": "models.catalog",
    "VideoError": "video.io",
    "WeightsError": "models.weights",
    "annotate": "visualization",
    "compare": "detections.comparison",
    "consensus": "detections.comparison",
    "count_series": "video",
    "detect_clip": "video",
    "detector_on_backbone": "models.builders",
    "draw_difference": "visualization",
    "evaluate": "evaluation",
    "export_clip": "video",
    "find_pictures": "inputs",
    "from_json": "formats",
    "get_spec": "models.catalog",
    "list_models": "models.catalog",
    "load_image": "images.reading",
    "open_video": "video.io",
    "provenance_of": "formats",
    "read_checkpoint": "models.checkpoint",
    "read_coco": "datasets.coco",
    "read_coco_results": "formats",
    "render_clip": "video",
    "spec_of_file": "models.user_models",
    "to_coco_results": "formats",
    "to_json": "formats",
    "train": "training.fine_tune",
    "write_checkpoint": "models.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
