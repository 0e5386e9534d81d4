"""Detection Explorer's core: all of torchvision's detectors behind one interface, and what it takes to see their results."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection_core.architectures import detector_on_backbone
    from detection_core.batch import Batch
    from detection_core.catalog import UnknownModelError, get_spec, list_models
    from detection_core.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
    from detection_core.clips import ClipOptions, ClipRecords, count_series, detect_clip, export_clip, render_clip
    from detection_core.comparison import Comparison, compare, consensus
    from detection_core.detections import Detections
    from detection_core.detector import Detector
    from detection_core.evaluation import Evaluation, evaluate
    from detection_core.export import (
        ImportFormatError,
        PictureResult,
        Provenance,
        from_json,
        provenance_of,
        read_coco_results,
        to_coco_results,
        to_json,
    )
    from detection_core.images import ImageError, load_image
    from detection_core.model_spec import Architecture, ModelSpec
    from detection_core.picture_files import find_pictures
    from detection_core.tracking import Tracked, Tracker
    from detection_core.training.dataset import DataError, read_coco
    from detection_core.training.fine_tune import train
    from detection_core.training.preparation import Data
    from detection_core.training.recipe import Augmentation, Recipe
    from detection_core.user_models import spec_of_file
    from detection_core.video import VideoError, open_video
    from detection_core.visualization import Style, annotate, draw_difference
    from detection_core.weights import WeightsError

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
    "Architecture": "model_spec",
    "Augmentation": "training.recipe",
    "Batch": "batch",
    "Checkpoint": "checkpoint",
    "CheckpointError": "checkpoint",
    "ClipOptions": "clips",
    "ClipRecords": "clips",
    "Comparison": "comparison",
    "Data": "training.preparation",
    "DataError": "training.dataset",
    "Detections": "detections",
    "Detector": "detector",
    "Evaluation": "evaluation",
    "ImageError": "images",
    "ImportFormatError": "export",
    "ModelSpec": "model_spec",
    "PictureResult": "export",
    "Provenance": "export",
    "Recipe": "training.recipe",
    "Style": "visualization",
    "Tracked": "tracking",
    "Tracker": "tracking",
    "UnknownModelError": "catalog",
    "VideoError": "video",
    "WeightsError": "weights",
    "annotate": "visualization",
    "compare": "comparison",
    "consensus": "comparison",
    "count_series": "clips",
    "detect_clip": "clips",
    "detector_on_backbone": "architectures",
    "draw_difference": "visualization",
    "evaluate": "evaluation",
    "export_clip": "clips",
    "find_pictures": "picture_files",
    "from_json": "export",
    "get_spec": "catalog",
    "list_models": "catalog",
    "load_image": "images",
    "open_video": "video",
    "provenance_of": "export",
    "read_checkpoint": "checkpoint",
    "read_coco": "training.dataset",
    "read_coco_results": "export",
    "render_clip": "clips",
    "spec_of_file": "user_models",
    "to_coco_results": "export",
    "to_json": "export",
    "train": "training.fine_tune",
    "write_checkpoint": "checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
