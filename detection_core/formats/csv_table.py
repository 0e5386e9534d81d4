"""Writes a CSV table with one row per object."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from typing import Any

from detection_core.detections import Detections
from detection_core.formats.json_writing import shortest
from detection_core.formats.provenance import Provenance
from detection_core.formats.result import ImageResult
from detection_core.formats.target import Target
from detection_core.visualization import AnnotationStyle

TABLE_FILE = "detections.csv"
_FRAME_COLUMNS = ["frame", "time_s", "track_id"]
_COLUMNS = ["file_name", "width", "height", "label", "class_id", "score", "x0", "y0", "x1", "y1", "mask_area"]
_COLUMNS += ["model", "weights", "revision", "threshold", "time", "versions"]
_SPOOL_IN_MEMORY = 8 * 2**20
# Spreadsheets read these texts as formulas: full-width signs count, too, and some programs ignore leading spaces.
_FORMULA = re.compile(r"[\s\x00-\x1f]*[=+\-@＝＋－＠]|[\t\r\n]")
# Without it, spreadsheets assume the encoding of the operating system.
BYTE_ORDER_MARK = "\ufeff"


class TableWriter:
    """Writes one table: boxes and mask areas in pixels, provenance, and three columns per keypoint.

    Cells are empty where a model does not predict a value or an object does not have it. For frames of videos, the first columns are
    the frame's index, its time and the object's track id.

    The file starts with a byte-order mark, and a text that a spreadsheet would run as a formula is preceded by an apostrophe.

    Args:
        target: Where the file is written.
        style: Not used; all writers take the same arguments.
        raw: Whether texts are written as they are, without a byte-order mark, for programs.
    """

    def __init__(self, target: Target, style: AnnotationStyle, *, raw: bool = False) -> None:
        self._target = target
        self._raw = raw
        # The keypoints' names are known only at the end, so rows are kept until the header can be written.
        self._rows = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115  (needed until the end)
        self._keypoint_columns: dict[str, None] = {}
        self._frame_columns: list[str] = []

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one image's result."""
        found = result.detections
        height, width = found.image_size
        image = {"file_name": result.file_name, "width": width, "height": height, "model": found.model, **_source(result.provenance)}
        frame = result.frame
        if frame is not None:
            self._frame_columns = _FRAME_COLUMNS
            image |= {"frame": frame.index, "time_s": frame.time_s}
        for index, has_keypoints in enumerate(found.has_keypoints):
            track = frame.track(index) if frame else {}
            keypoints = _keypoints(found, index, has_keypoints)
            self._keypoint_columns.update(dict.fromkeys(keypoints))
            self._rows.write(json.dumps(image | track | _object(found, index) | keypoints).encode() + b"\n")

    def finish(self) -> list[str]:
        """Writes the file."""
        with self._rows, tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY) as file:
            # File names that are not valid UTF-8 cannot be encoded.
            text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="", write_through=True)
            columns = [*self._frame_columns, *_COLUMNS, *self._keypoint_columns]
            text.write("" if self._raw else BYTE_ORDER_MARK)
            table = csv.writer(text)
            as_text = _unchanged if self._raw else as_cell
            table.writerow(map(as_text, columns))
            self._rows.seek(0)
            for line in self._rows:
                row = json.loads(line)
                table.writerow([as_text(row.get(column, "")) for column in columns])
            text.flush()
            self._target.write(TABLE_FILE, file)
            text.detach()
        return []


def as_cell(value: Any) -> Any:
    """Returns a value that spreadsheets do not run as a formula: such a text is preceded by an apostrophe."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _unchanged(value: Any) -> Any:
    return value


def _source(provenance: Provenance | None) -> dict[str, Any]:
    if provenance is None:
        return {}
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return {name: getattr(provenance, name) for name in ("weights", "revision", "threshold", "time")} | {"versions": versions}


def _object(found: Detections, index: int) -> dict[str, Any]:
    box = dict(zip(("x0", "y0", "x1", "y1"), map(shortest, found.boxes[index]), strict=True))
    area = {} if found.masks is None else {"mask_area": int(found.mask(index)[0].sum())}
    return {"label": found.names[index], "class_id": int(found.labels[index]), "score": shortest(found.scores[index]), **box, **area}


def _keypoints(found: Detections, index: int, has_keypoints: bool) -> dict[str, float]:
    if found.keypoints is None or found.keypoint_scores is None or not has_keypoints:
        return {}
    keypoints = zip(found.keypoint_names, found.keypoints[index], found.keypoint_scores[index], strict=True)
    columns = ((name, zip(("x", "y", "score"), (x, y, score), strict=True)) for name, (x, y), score in keypoints)
    return {f"{name}_{column}": shortest(value) for name, values in columns for column, value in values}
