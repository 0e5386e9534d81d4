"""Results to take home and back: our own JSON, COCO, YOLO, CSV and annotated PNG, each with the settings that it came from."""

from detection_core.export.coco import to_coco_results
from detection_core.export.coco_import import read_coco_results
from detection_core.export.formats import FORMATS, Format, export
from detection_core.export.import_error import ImportFormatError, SeveralPicturesError
from detection_core.export.own_json import from_json, to_json
from detection_core.export.picture import annotated_png, png_with_facts
from detection_core.export.provenance import Provenance, provenance_of
from detection_core.export.result import ClipFacts, FrameFacts, PictureResult

__all__ = [
    "FORMATS",
    "ClipFacts",
    "Format",
    "FrameFacts",
    "ImportFormatError",
    "PictureResult",
    "Provenance",
    "SeveralPicturesError",
    "annotated_png",
    "export",
    "from_json",
    "png_with_facts",
    "provenance_of",
    "read_coco_results",
    "to_coco_results",
    "to_json",
]
