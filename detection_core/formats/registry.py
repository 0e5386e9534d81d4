"""The registry of formats, and `export`, which writes many results in several formats in one pass."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from detection_core.detections import Detections
from detection_core.detections.coco_names import BACKGROUND, UNUSED
from detection_core.formats.coco import DatasetWriter, ResultsWriter
from detection_core.formats.csv_table import TableWriter
from detection_core.formats.json_format import to_json
from detection_core.formats.numbering import COUNTED, Numbering, number_images
from detection_core.formats.png import annotated_png
from detection_core.formats.provenance import Provenance
from detection_core.formats.result import ImageResult
from detection_core.formats.target import Target, safe_stem
from detection_core.formats.yolo import YoloWriter
from detection_core.visualization import AnnotationStyle

_STYLE = AnnotationStyle()


class Writer(Protocol):
    """A writer of one format."""

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result; `stem` is unique among the images."""

    def finish(self) -> list[str]:
        """Writes the files that cover all images; returns sentences for the user about them."""


@dataclass(frozen=True)
class Format:
    """A format that users can choose.

    Attributes:
        title: Name of the format.
        description: One line on its purpose.
        suits: Returns whether a result has what the format needs; an empty result suits all formats.
        writer: Creates the format's writer, given the target and the style of annotated images.
        stamped: Whether its files contain the provenance; for other formats it is written to a separate file.
        numbered: Whether images and classes have ids in it; its writer then takes a `Numbering` as its last argument.
    """

    title: str
    description: str
    suits: Callable[[Detections], bool]
    writer: Callable[..., Writer]
    stamped: bool = False
    numbered: bool = False


class _JsonWriter:
    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target

    def add(self, result: ImageResult, stem: str) -> None:
        data = to_json(result.detections, file_name=result.file_name, provenance=result.provenance, notes=result.notes)
        self._target.write(f"{stem}_detections.json", json.dumps(data).encode())

    def finish(self) -> list[str]:
        return []


class _PngWriter:
    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._style = style

    def add(self, result: ImageResult, stem: str) -> None:
        if result.image is None:
            raise ValueError(f"{result.file_name} cannot be drawn: the image is not available.")
        drawn = annotated_png(
            result.image(),
            result.detections,
            style=self._style,
            provenance=result.provenance,
            colors=result.colors,
            numbers=result.numbers,
        )
        self._target.write(f"{stem}_detections.png", drawn)

    def finish(self) -> list[str]:
        return []


def _anything(detections: Detections) -> bool:
    return True


def _masks(detections: Detections) -> bool:
    return not len(detections) or detections.masks is not None


def _keypoints(detections: Detections) -> bool:
    return not len(detections) or detections.keypoints is not None


FORMATS: Mapping[str, Format] = {
    "json": Format("JSON", "Everything without loss, readable by this program; one file per image", _anything, _JsonWriter, stamped=True),
    "coco": Format(
        "COCO results", "For pycocotools' loadRes and evaluation; one file, masks as RLE", _anything, ResultsWriter, numbered=True
    ),
    "coco-dataset": Format(
        "COCO data set",
        "Images, classes and objects, for training or for correction in an annotation tool; one file",
        _anything,
        DatasetWriter,
        stamped=True,
        numbered=True,
    ),
    "yolo-detect": Format("YOLO boxes", "Label files for Ultralytics' detectors", _anything, partial(YoloWriter, "detect")),
    "yolo-segment": Format(
        "YOLO polygons", "Label files for Ultralytics' segmentation, one polygon per object", _masks, partial(YoloWriter, "segment")
    ),
    "yolo-pose": Format("YOLO keypoints", "Label files for Ultralytics' pose models", _keypoints, partial(YoloWriter, "pose")),
    "csv": Format("CSV", "A table for spreadsheets and pandas, one row per object", _anything, TableWriter, stamped=True),
    "png": Format(
        "Annotated PNG", "The image with the objects drawn on it; the file contains its settings", _anything, _PngWriter, stamped=True
    ),
}
PROVENANCE_FILE = "provenance.json"


def raw_csv(formats: Mapping[str, Format]) -> dict[str, Format]:
    """Returns the formats with CSV as programs read it; see `TableWriter`."""
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
    numbering: Numbering = COUNTED,
    on_note: Callable[[str], object] = lambda note: None,
) -> list[str]:
    """Writes results in several formats, in one pass and with one image in memory at a time.

    Args:
        results: One result per image; may be a generator.
        formats: Keys of `known`.
        target: A folder, which is created if necessary and in which each file is replaced atomically, or an archive open for writing.
        style: Style of the annotated images; its keypoint threshold also decides which keypoints are visible in YOLO and COCO data sets.
        folder: Folder within the target, such as a model's name; "" for none.
        prefix: Prefix of all file names.
        known: The available formats.
        numbering: The ids of categories in COCO's formats. Those of images are in the results.
        on_note: Called with sentences for the user about the files, such as what the COCO results leave out.

    Returns:
        Names of the files written, relative to the target, with "/" between folders.

    Raises:
        ValueError: If a format is unknown, or a result lacks what a format needs: check `Format.suits` first.
        FileExistsError: If the archive already has a file with that name.
        OSError: If a file cannot be written.
    """
    unknown = [key for key in formats if key not in known]
    if unknown:
        raise ValueError(f"There is no format “{unknown[0]}”. The formats are: {', '.join(known)}.")
    chosen = list(dict.fromkeys(formats))
    files = Target(target, folder, prefix)
    forms = [known[key] for key in chosen]
    writers = [(form, form.writer(files, style, *([numbering] if form.numbered else []))) for form in forms]
    sources: list[tuple[Provenance, Detections]] = []
    for result in results:
        stem = files.free_stem(result.stem or safe_stem(result.file_name))
        for form, writer in writers:
            if not form.suits(result.detections):
                raise ValueError(
                    f"{result.file_name} cannot be written as {form.title}: its model does not predict what this format needs."
                )
            writer.add(result, stem)
        if result.provenance and not any(source.same_run(result.provenance) for source, _ in sources):
            sources.append((result.provenance, result.detections[:0]))
    notes = [note for _, writer in writers for note in writer.finish()]
    if sources and not all(form.stamped for form in forms):
        is_numbered = any(form.numbered and not form.stamped for form in forms)
        origins = [source.to_json() | (_ids_of(found, numbering, notes) if is_numbered else {}) for source, found in sources]
        files.write(PROVENANCE_FILE, json.dumps(origins, indent=2).encode())
    for note in notes:
        on_note(note)
    return files.written


def export_one(result: ImageResult, form: str, *, style: AnnotationStyle = _STYLE) -> tuple[bytes, str]:
    """Writes one image's result in one format, in memory.

    Args:
        result: The result.
        form: A key of `FORMATS`.
        style: As for `export`.

    Returns:
        The file, a ZIP archive if the format has several, and its extension, such as ".json".

    Raises:
        ValueError: As for `export`.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        names = export([result], [form], archive, style=style, numbering=number_images([result.file_name]))
    if len(names) > 1:
        return file.getvalue(), ".zip"
    with zipfile.ZipFile(file) as archive:
        return archive.read(names[0]), PurePosixPath(names[0]).suffix


def _ids_of(found: Detections, numbering: Numbering, notes: list[str]) -> dict[str, Any]:
    """Returns what the list of COCO's results has no place for: which ids are in it, and what is not."""
    names = {name: number for name, number in zip(found.categories, numbering.category_ids(found), strict=True) if number is not None}
    categories = {name: number for name, number in names.items() if name not in (BACKGROUND, UNUSED)}
    sentence = numbering.sentence(found.categories, found.category_ids)
    return {"numbering": {"ids": sentence, "categories": categories, "notes": [*numbering.notes, *notes]}}
