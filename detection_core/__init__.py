"""Detection Explorer's core: all of torchvision's detectors behind one interface, with tools to view, compare and export their results."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection_core.batch import BatchRun
    from detection_core.datasets.coco import DataError, read_coco
    from detection_core.datasets.numbering import read_numbering
    from detection_core.datasets.preparation import TrainingData
    from detection_core.datasets.sources import read_dataset
    from detection_core.detections import Detections
    from detection_core.detections.comparison import Comparison, compare, consensus
    from detection_core.detections.tracking import TrackedDetections, Tracker
    from detection_core.errors import UserError
    from detection_core.evaluation import Evaluated, Evaluation, EvaluationError, EvaluationOptions, evaluate
    from detection_core.explanation import Explanation, explain
    from detection_core.formats import (
        ImageResult,
        ImportedResults,
        Numbering,
        Provenance,
        ResultsFormatError,
        export,
        from_json,
        import_coco_results,
        number_images,
        provenance_of,
        read_coco_results,
        to_coco_results,
        to_json,
    )
    from detection_core.images.reading import ImageError, load_image
    from detection_core.inputs import find_images
    from detection_core.models.builders import detector_on_backbone
    from detection_core.models.catalog import UnknownModelError, get_model_spec, list_models
    from detection_core.models.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
    from detection_core.models.detector import Detector
    from detection_core.models.model_key import VariantError
    from detection_core.models.spec import Architecture, ModelSpec
    from detection_core.models.user_models import read_model_spec
    from detection_core.models.weights import WeightsError
    from detection_core.training.fine_tune import train
    from detection_core.training.recipe import Augmentation, Recipe
    from detection_core.video import FrameResults, VideoOptions, count_per_frame, detect_video, export_video, render_video
    from detection_core.video.io import VideoError, open_video
    from detection_core.visualization import AnnotationStyle, annotate, annotate_comparison

__version__ = "0.1.0"
__all__ = [
    "AnnotationStyle",
    "Architecture",
    "Augmentation",
    "BatchRun",
    "Checkpoint",
    "CheckpointError",
    "Comparison",
    "DataError",
    "Detections",
    "Detector",
    "Evaluated",
    "Evaluation",
    "EvaluationError",
    "EvaluationOptions",
    "Explanation",
    "FrameResults",
    "ImageError",
    "ImageResult",
    "ImportedResults",
    "ModelSpec",
    "Numbering",
    "Provenance",
    "Recipe",
    "ResultsFormatError",
    "TrackedDetections",
    "Tracker",
    "TrainingData",
    "UnknownModelError",
    "UserError",
    "VariantError",
    "VideoError",
    "VideoOptions",
    "WeightsError",
    "annotate",
    "annotate_comparison",
    "compare",
    "consensus",
    "count_per_frame",
    "detect_video",
    "detector_on_backbone",
    "evaluate",
    "explain",
    "export",
    "export_video",
    "find_images",
    "from_json",
    "get_model_spec",
    "import_coco_results",
    "list_models",
    "load_image",
    "number_images",
    "open_video",
    "provenance_of",
    "read_checkpoint",
    "read_coco",
    "read_coco_results",
    "read_dataset",
    "read_model_spec",
    "read_numbering",
    "render_video",
    "to_coco_results",
    "to_json",
    "train",
    "write_checkpoint",
]

# Imported on first use (PEP 562): torch takes seconds to import, and neither `--help` nor drawing needs it.
_HOMES = {
    "Architecture": "models.spec",
    "Augmentation": "training.recipe",
    "BatchRun": "batch",
    "Checkpoint": "models.checkpoint",
    "CheckpointError": "models.checkpoint",
    "VideoOptions": "video",
    "FrameResults": "video",
    "Comparison": "detections.comparison",
    "TrainingData": "datasets.preparation",
    "DataError": "datasets.coco",
    "Detections": "detections",
    "Detector": "models.detector",
    "Evaluated": "evaluation",
    "Evaluation": "evaluation",
    "EvaluationError": "evaluation",
    "EvaluationOptions": "evaluation",
    "Explanation": "explanation",
    "ImageError": "images.reading",
    "ResultsFormatError": "formats",
    "ModelSpec": "models.spec",
    "ImageResult": "formats",
    "Numbering": "formats",
    "Provenance": "formats",
    "Recipe": "training.recipe",
    "AnnotationStyle": "visualization",
    "TrackedDetections": "detections.tracking",
    "Tracker": "detections.tracking",
    "UnknownModelError": "models.catalog",
    "UserError": "errors",
    "VariantError": "models.model_key",
    "VideoError": "video.io",
    "WeightsError": "models.weights",
    "annotate": "visualization",
    "compare": "detections.comparison",
    "consensus": "detections.comparison",
    "count_per_frame": "video",
    "detect_video": "video",
    "detector_on_backbone": "models.builders",
    "annotate_comparison": "visualization",
    "evaluate": "evaluation",
    "export": "formats",
    "explain": "explanation",
    "export_video": "video",
    "find_images": "inputs",
    "from_json": "formats",
    "get_model_spec": "models.catalog",
    "list_models": "models.catalog",
    "load_image": "images.reading",
    "number_images": "formats",
    "open_video": "video.io",
    "provenance_of": "formats",
    "read_checkpoint": "models.checkpoint",
    "read_coco": "datasets.coco",
    "read_coco_results": "formats",
    "read_dataset": "datasets.sources",
    "import_coco_results": "formats",
    "ImportedResults": "formats",
    "render_video": "video",
    "read_model_spec": "models.user_models",
    "read_numbering": "datasets.numbering",
    "to_coco_results": "formats",
    "to_json": "formats",
    "train": "training.fine_tune",
    "write_checkpoint": "models.checkpoint",
}


# Old names from before the first release, and their new names; the old ones will be removed in the next release.
_RENAMED = {
    "Batch": "BatchRun",
    "ClipOptions": "VideoOptions",
    "ClipRecords": "FrameResults",
    "Data": "TrainingData",
    "ImportFormatError": "ResultsFormatError",
    "PictureResult": "ImageResult",
    "Style": "AnnotationStyle",
    "Tracked": "TrackedDetections",
    "count_series": "count_per_frame",
    "detect_clip": "detect_video",
    "draw_difference": "annotate_comparison",
    "export_clip": "export_video",
    "find_pictures": "find_images",
    "get_spec": "get_model_spec",
    "render_clip": "render_video",
    "spec_of_file": "read_model_spec",
}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warnings.warn(f"{__name__}.{name} is now called {_RENAMED[name]}.", DeprecationWarning, stacklevel=2)
        name = _RENAMED[name]
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
