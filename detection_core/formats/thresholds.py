"""Chosen score thresholds of models, for all classes and for single ones, as a JSON file that the Evaluate tab writes and commands read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detection_core.detections import Detections
from detection_core.formats.errors import ResultsFormatError

_FORM = '{"thresholds": {"MODEL": {"all": 0.5, "classes": {"person": 0.6}}}}'


@dataclass(frozen=True)
class ModelThresholds:
    """The lowest scores of a model's objects, 0–1.

    Attributes:
        all: That of all classes without one of their own.
        classes: Those of single classes, by the class's name.
    """

    all: float
    classes: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns all attributes as plain types."""
        return {"all": self.all, "classes": dict(self.classes)}

    def keep(self, found: Detections) -> Detections:
        """Returns the detections that reach their threshold."""
        # As float32, in which scores are: float64 would leave out a score of 0.7 at a threshold of 0.7.
        lowest = np.array([self.classes.get(name, self.all) for name in found.categories], np.float32)
        return found[found.scores >= lowest[found.labels]]


def thresholds_file(by_model: Mapping[str, ModelThresholds]) -> bytes:
    """Returns the contents of a thresholds file.

    Args:
        by_model: The thresholds by the model's key.
    """
    return json.dumps({"thresholds": {name: chosen.to_json() for name, chosen in by_model.items()}}, indent=1, ensure_ascii=False).encode()


def read_thresholds(path: Path) -> dict[str, ModelThresholds]:
    """Reads a thresholds file.

    Args:
        path: The file.

    Returns:
        The thresholds by the model's key.

    Raises:
        ResultsFormatError: If the file cannot be read, or is no thresholds file.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ResultsFormatError(f"The thresholds file “{path}” cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ResultsFormatError(f"The thresholds file “{path}” is not JSON. It should contain {_FORM}.") from error
    entries = data.get("thresholds") if isinstance(data, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ResultsFormatError(f"The file “{path}” has no thresholds. It should contain {_FORM}.")
    return {name: _read_entry(entry, name, path) for name, entry in entries.items()}


def _read_entry(entry: Any, name: str, path: Path) -> ModelThresholds:
    values = entry if isinstance(entry, dict) else {"all": entry}
    classes = values.get("classes", {})
    if not isinstance(classes, dict):
        raise ResultsFormatError(f"The classes of “{name}” in the thresholds file “{path}” must be an object: {_FORM}.")
    for what, value in {"“all”": values.get("all"), **{f"the class “{each}”": value for each, value in classes.items()}}.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ResultsFormatError(f"The threshold of {what} of “{name}” in “{path}” must be a number from 0 to 1: {_FORM}.")
    return ModelThresholds(float(values["all"]), {each: float(value) for each, value in classes.items()})
