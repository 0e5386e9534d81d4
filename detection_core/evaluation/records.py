"""Raw results of models, one file for each image and model, so that an evaluation resumes and is repeated without running models."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detection_core.datasets.coco import AnnotatedImage
from detection_core.formats import Provenance, ResultsFormatError
from detection_core.formats.target import Target, safe_stem
from detection_core.models.families import Task

FOLDER = "raw"
_FORMAT = "detection-explorer evaluation 1"


@dataclass(frozen=True)
class Record:
    """A model's result for one image.

    Attributes:
        digest: SHA-256 of the image file.
        provenance: The model and its weights; its `settings` name the tasks.
        results: The detections down to the model's lowest score, in COCO's results format with the model's labels as category ids.
        seconds: What the model took; None for its first image, which is slower.
        memory: Bytes that the model and this image took, or None if it was not measured.
    """

    digest: str
    provenance: Provenance
    results: list[dict[str, Any]]
    seconds: float | None = None
    memory: int | None = None


class Records:
    """The records of all images and models.

    Args:
        folder: The folder for them; None keeps them in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._target = None if folder is None else Target(folder)
        self._folder = folder
        self._kept: dict[str, Record] = {}

    def write(self, image: AnnotatedImage, record: Record) -> None:
        """Writes the record of an image.

        Raises:
            OSError: If the file cannot be written.
        """
        name = _name(record.provenance.model, image)
        if self._target is None:
            self._kept[name] = record
        else:
            data = {"format": _FORMAT, **asdict(record), "provenance": record.provenance.to_json()}
            self._target.write(name, json.dumps(data).encode())

    def read(self, image: AnnotatedImage, wanted: Provenance, tasks: Collection[Task], digest: str | None = None) -> Record | None:
        """Returns the record of an image if it is of the same weights, and has the tasks.

        Args:
            image: The image.
            wanted: The model.
            tasks: The tasks that are needed.
            digest: The digest that the image file must have, or None if it does not matter.
        """
        name = _name(wanted.model, image)
        record = self._kept.get(name) if self._folder is None else _read(self._folder / name)
        if record is None or (digest is not None and record.digest != digest):
            return None
        same = all(getattr(record.provenance, part) == getattr(wanted, part) for part in ("model", "weights", "revision"))
        return record if same and set(tasks) <= set(record.provenance.settings.get("tasks", ())) else None


def _name(model: str, image: AnnotatedImage) -> str:
    return f"{safe_stem(model + '.json')}/{image.id}.json"


def _read(path: Path) -> Record | None:
    """Reads a record; returns None if the file does not exist or is not a record."""
    try:
        data = json.loads(path.read_bytes())
        if data.pop("format") != _FORMAT:
            return None
        return Record(**{**data, "provenance": Provenance.from_json(data["provenance"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ResultsFormatError):
        return None
