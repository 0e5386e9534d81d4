"""Formats of results: the project's own JSON, COCO, YOLO, CSV and annotated PNG, each with its provenance; JSON and COCO can be read."""

from detection_core.formats.class_files import ClassList, read_class_names
from detection_core.formats.coco import to_coco_results
from detection_core.formats.coco_reading import ImportedResults, import_coco_results, read_coco_results
from detection_core.formats.errors import InvalidEntryError, ResultsFormatError, SeveralImagesError
from detection_core.formats.json_format import from_json, to_json
from detection_core.formats.numbering import Numbering, number_images
from detection_core.formats.png import annotated_png, png_with_facts
from detection_core.formats.provenance import Provenance, provenance_of
from detection_core.formats.registry import FORMATS, Format, export, raw_csv
from detection_core.formats.result import FrameFacts, ImageResult, VideoFacts

__all__ = [
    "FORMATS",
    "ClassList",
    "Format",
    "FrameFacts",
    "ImageResult",
    "ImportedResults",
    "InvalidEntryError",
    "Numbering",
    "Provenance",
    "ResultsFormatError",
    "SeveralImagesError",
    "VideoFacts",
    "annotated_png",
    "export",
    "from_json",
    "import_coco_results",
    "number_images",
    "png_with_facts",
    "provenance_of",
    "raw_csv",
    "read_class_names",
    "read_coco_results",
    "to_coco_results",
    "to_json",
]
