"""The formats by name, and export: one pass over many results that writes all those wanted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from detection_core.detections import Detections
from detection_core.formats.coco import DatasetWriter, ResultsWriter
from detection_core.formats.csv_table import TableWriter
from detection_core.formats.json_format import to_json
from detection_core.formats.png import annotated_png
from detection_core.formats.provenance import Provenance
from detection_core.formats.result import ImageResult
from detection_core.formats.target import Target, safe_stem
from detection_core.formats.yolo import YoloWriter
from detection_core.visualization import AnnotationStyle

_STYLE = AnnotationStyle()


class Writer(Protocol):
    """Writes one format."""

    def add(self, result: ImageResult, stem: str) -> None:
        """Takes one image's result; `stem` is unlike any other image's."""

    def finish(self) -> None:
        """Writes what stands in one file for all images."""


@dataclass(frozen=True)
class Format:
    """A format as people choose it.

    Attributes:
        title: Its name.
        description: One line on what it is good for.
        suits: Whether a result has what the format is about; nothing found suits all.
        writer: Makes what writes it, given where files go and how images are drawn.
        stamped: Whether its files have a place for the provenance; for others it goes into a file of its own.
    """

    title: str
    description: str
    suits: Callable[[Detections], bool]
    writer: Callable[[Target, AnnotationStyle], Writer]
    stamped: bool = False


class _JsonWriter:
    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target

    def add(self, result: ImageResult, stem: str) -> None:
        data = to_json(result.detections, file_name=result.file_name, provenance=result.provenance, notes=result.notes)
        self._target.write(f"{stem}_detections.json", json.dumps(data).encode())

    def finish(self) -> None:
        pass


class _PngWriter:
    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._style = style

    def add(self, result: ImageResult, stem: str) -> None:
        if result.image is None:
            raise ValueError(f"{result.file_name} cannot be drawn: the image itself is not there.")
        drawn = annotated_png(
            result.image(),
            result.detections,
            style=self._style,
            provenance=result.provenance,
            colors=result.colors,
            numbers=result.numbers,
        )
        self._target.write(f"{stem}_detections.png", drawn)

    def finish(self) -> None:
        pass


def _anything(detections: Detections) -> bool:
    return True


def _masks(detections: Detections) -> bool:
    return not len(detections) or detections.masks is not None


def _keypoints(detections: Detections) -> bool:
    return not len(detections) or detections.keypoints is not None


FORMATS: Mapping[str, Format] = {
    "json": Format("JSON", "Everything, exactly, and read back by this program; one file an image", _anything, _JsonWriter, stamped=True),
    "coco": Format("COCO results", "For pycocotools' loadRes and evaluation; one file with masks as RLE", _anything, ResultsWriter),
    "coco-dataset": Format(
        "COCO data set",
        "Images, classes and objects, to train with or to correct in an annotation tool; one file",
        _anything,
        DatasetWriter,
        stamped=True,
    ),
    "yolo-detect": Format("YOLO boxes", "Label files for Ultralytics' detectors", _anything, partial(YoloWriter, "detect")),
    "yolo-segment": Format(
        "YOLO outlines", "Label files for Ultralytics' segmentation, one outline an object", _masks, partial(YoloWriter, "segment")
    ),
    "yolo-pose": Format("YOLO keypoints", "Label files for Ultralytics' pose models", _keypoints, partial(YoloWriter, "pose")),
    "csv": Format("CSV", "A table for spreadsheets and pandas, one row an object", _anything, TableWriter, stamped=True),
    "png": Format("Annotated PNG", "The image with everything drawn on it, its settings in the file", _anything, _PngWriter, stamped=True),
}
PROVENANCE_FILE = "provenance.json"


def raw_csv(formats: Mapping[str, Format]) -> dict[str, Format]:
    """The formats, with tables as programs want them; see `TableWriter`."""
    return {**formats, "csv": replace(formats["csv"], writer=partial(TableWriter, raw=True))}


def export(
    results: Iterable[ImageResult],
    formats: Sequence[str],
    target: Path | zipfile.ZipFile,
    *,
    style: AnnotationStyle = _STYLE,
    folder: str = "",
    prefix: str = "",
    known: Mapping[str, Format] = FORMATS,
) -> list[str]:
    """Writes results in several formats, in one pass and with one image in memory at a time.

    Args:
        results: One per image; may be a generator.
        formats: Keys of `known`.
        target: Folder, made if it is not there, in which each file is replaced whole; or an archive open for writing.
        style: How the annotated images are drawn; its keypoint threshold also says which keypoints YOLO and COCO data sets call visible.
        folder: Folder within the target, such as a model's name; "" for none.
        prefix: What the names of all files begin with.
        known: The formats that there are.

    Returns:
        Names of the files written, relative to the target, with "/" between folders.

    Raises:
        ValueError: If there is no such format, or a result lacks what a format is about: ask `Format.suits` before.
        FileExistsError: If the archive has a file of that name already.
        OSError: If a file cannot be written.
    """
    unknown = [key for key in formats if key not in known]
    if unknown:
        raise ValueError(f"There is no format “{unknown[0]}”. The formats are: {', '.join(known)}.")
    chosen = list(dict.fromkeys(formats))
    files = Target(target, folder, prefix)
    writers = [(known[key], known[key].writer(files, style)) for key in chosen]
    sources: list[Provenance] = []
    for result in results:
        stem = files.free_stem(result.stem or safe_stem(result.file_name))
        for form, writer in writers:
            if not form.suits(result.detections):
                raise ValueError(f"{result.file_name} cannot be written as {form.title}: its model does not give what that needs.")
            writer.add(result, stem)
        if result.provenance and not any(source.same_run(result.provenance) for source in sources):
            sources.append(result.provenance)
    for _, writer in writers:
        writer.finish()
    if sources and not all(form.stamped for form, _ in writers):
        files.write(PROVENANCE_FILE, json.dumps([source.to_json() for source in sources], indent=2).encode())
    return files.written
