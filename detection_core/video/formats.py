"""The registry of video formats: image formats that support frames, and two formats for videos only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from detection_core.detections import Detections
from detection_core.formats import FORMATS, Format, FrameFacts, ImageResult, to_json
from detection_core.formats.coco import DATASET_FILE
from detection_core.formats.csv_table import TABLE_FILE
from detection_core.formats.json_writing import JsonList
from detection_core.formats.registry import PROVENANCE_FILE
from detection_core.formats.target import Target
from detection_core.visualization import AnnotationStyle

JSON_FORMAT = "detection-explorer video 1"
JSON_FILE = "detections.json"
MOT_FILE = "mot.txt"
# All files that may be written; the video's name and "_" come before each.
VIDEO_FILES = (JSON_FILE, DATASET_FILE, TABLE_FILE, MOT_FILE, PROVENANCE_FILE)
_SPOOL_IN_MEMORY = 8 * 2**20


class VideoJsonWriter:
    """Writes the project's JSON: `frames`, each with `index`, `time_s` and `objects`, which are those of `to_json` with a `track_id`.

    The fields of `to_json` that are the same for all frames follow, and the video's facts as `video`. Together with them and the
    format of an image's result, a frame's objects can be read by `from_json`.
    """

    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._frames = JsonList('{"format": ' + json.dumps(JSON_FORMAT) + ', "frames": [')
        self._about: dict[str, Any] = {}

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one frame's result."""
        frame = _frame_of(result)
        data = to_json(result.detections, file_name=result.file_name, provenance=result.provenance)
        objects = [entry | frame.track(index) for index, entry in enumerate(data["objects"])]
        self._frames.append({"index": frame.index, "time_s": frame.time_s, "summary": data["summary"], "objects": objects})
        of_the_frame = {"format", "summary", "objects"}
        self._about = {key: value for key, value in data.items() if key not in of_the_frame} | {"video": asdict(frame.video)}

    def finish(self) -> list[str]:
        """Writes the file."""
        rest = json.dumps(self._about)
        with self._frames.end("]" + (", " + rest[1:] if self._about else "}")) as file:
            self._target.write(JSON_FILE, file)
        return []


class MotWriter:
    """Writes MOTChallenge's text: frame and track id, both from 1, box (left, top, width, height), score, and three unused numbers."""

    def __init__(self, target: Target, style: AnnotationStyle) -> None:
        self._target = target
        self._lines = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115  (needed until the end)

    def add(self, result: ImageResult, stem: str) -> None:
        """Adds one frame's result."""
        frame, found = _frame_of(result), result.detections
        if frame.ids is None:
            raise ValueError("MOT files contain tracks: tracking must be on.")
        for number, (x0, y0, x1, y1), score in zip(frame.ids.tolist(), found.boxes.tolist(), found.scores.tolist(), strict=True):
            line = f"{frame.index + 1},{number},{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f},{score:.4f},-1,-1,-1\n"
            self._lines.write(line.encode())

    def finish(self) -> list[str]:
        """Writes the file."""
        with self._lines:
            self._target.write(MOT_FILE, self._lines)
        return []


def _frame_of(result: ImageResult) -> FrameFacts:
    if result.frame is None:
        raise ValueError(f"{result.file_name} is not a frame of a video")
    return result.frame


def _anything(detections: Detections) -> bool:
    return True


VIDEO_FORMATS: Mapping[str, Format] = {
    "json": Format("JSON", "Everything without loss, frame by frame, with track ids", _anything, VideoJsonWriter, stamped=True),
    "coco": replace(FORMATS["coco-dataset"], title="COCO", description="A data set with videos, frames, objects and their track ids"),
    "csv": replace(FORMATS["csv"], description="A table for spreadsheets and pandas, one row per object and frame"),
    "mot": Format("MOT", "MOTChallenge's text, for tracking tools and metrics; boxes and track ids only", _anything, MotWriter),
}
