"""Brings a user's model file to a detector's machine, once for each machine."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch.hub
from filelock import FileLock
from numpy.typing import NDArray

from detection_core.models.spec import ModelSpec
from detection_core.models.weights import fetch_weights

# In torch.hub's folder: files that the page has sent.
_FOLDER = "detection-explorer-models"


def read_weights(spec: ModelSpec) -> NDArray[np.uint8] | None:
    """Reads a user's model file as it is sent to the detectors; None for other models, which each machine has or downloads itself.

    Raises:
        WeightsError: If the file has been removed.
        OSError: If it cannot be read.
    """
    return None if spec.file is None else np.fromfile(fetch_weights(spec), np.uint8)


def local_copy(spec: ModelSpec, weights: NDArray[np.uint8] | None) -> ModelSpec:
    """Returns the spec with a file on this machine, which is written unless an earlier call has done so.

    Args:
        spec: The model.
        weights: The bytes of its file, or None if the file is not the user's.
    """
    if weights is None or spec.file is None:
        return spec
    folder = Path(torch.hub.get_dir()) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(repr(spec.weights_identity).encode()).hexdigest()}{spec.file.suffix}"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            part = file.with_suffix(".part")
            weights.tofile(part)
            part.replace(file)
    return replace(spec, file=file)
