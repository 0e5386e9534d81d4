"""Brings a user's model file to a detector's machine, once for each machine."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch.hub
from filelock import FileLock
from numpy.typing import NDArray

from detection_core.models.checkpoint import file_revision
from detection_core.models.spec import ModelSpec
from detection_core.models.weights import WeightsError, fetch_weights

# In torch.hub's folder: files that the page has sent.
_FOLDER = "detection-explorer-models"


def read_weights(spec: ModelSpec) -> NDArray[np.uint8] | None:
    """Reads a user's model file as it is sent to the detectors; None for other models, which each machine has or downloads itself.

    Raises:
        WeightsError: If the file has been removed, or replaced since the spec was made from it.
        OSError: If it cannot be read.
    """
    if spec.file is None:
        return None
    path = fetch_weights(spec)
    content = np.fromfile(path, np.uint8)
    if file_revision(path.stat()) != spec.revision:
        # The new file may also have other classes than the spec.
        raise WeightsError(f"“{path.name}” has been replaced while it was read. Try again.")
    return content


def local_copy(spec: ModelSpec, weights: NDArray[np.uint8] | None) -> ModelSpec:
    """Returns the spec of a copy of its file on this machine, which is written unless an earlier call has done so.

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
    return replace(spec, file=file, revision=file_revision(file.stat()))
