"""Prepares a model for a device: fetches its weights, builds its module, moves it to the device and makes it faster."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakSet

import torch
from torch import nn

from detection_core.models.build import build_model
from detection_core.models.checkpoint import CheckpointError
from detection_core.models.device import is_lack_of_memory
from detection_core.models.optimized import optimize, sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.models.weights import WeightsError, fetch_weights, reject_if_damaged

# The devices on which `optimized.optimize` has been measured and compared with torchvision's results.
_OPTIMIZED = ("cpu", "cuda")
# Threads that read a model or have done so. They are daemons, so that a download does not keep a process alive; but a process aborts if
# Python ends while a thread is in torch's C++ code. So the end waits for them, at most so many seconds.
_readers: WeakSet[threading.Thread] = WeakSet()
_LONGEST_READ = 5.0


@dataclass(frozen=True)
class LoadProgress:
    """The progress of a model that is being loaded.

    Attributes:
        stage: "download" while its weights are downloaded, "load" while they are read from the disk.
        done: Bytes downloaded so far; 0 throughout "load", which cannot be measured.
        total: Bytes of the weights file, or None if that is unknown.
    """

    stage: Literal["download", "load"]
    done: int
    total: int | None


OnProgress = Callable[[LoadProgress], None]


def prepare_model(spec: ModelSpec, device: torch.device, *, on_progress: OnProgress, cancelled: Callable[[], bool]) -> nn.Module:
    """Makes a module that can run on a device, from weights that are downloaded if they are missing.

    Unless the spec says stock, `optimized.optimize` makes it faster, on a CPU and on CUDA.

    Args:
        spec: The model; its input size is not applied.
        device: Where the module is put.
        on_progress: Called with each new state.
        cancelled: Asked repeatedly during a download whether to end it.

    Raises:
        WeightsError: If the weights cannot be fetched or are damaged, or the spec says fast and the device cannot compute with 16 bits.
        DownloadCancelled: If `cancelled` returned True.
    """
    dtype = _dtype(spec, device)
    path = fetch_weights(spec, on_progress=lambda done, total: on_progress(LoadProgress("download", done, total)), cancelled=cancelled)
    on_progress(LoadProgress("load", 0, _size(path)))
    _readers.add(threading.current_thread())
    try:
        module = build_model(spec, path)
    except CheckpointError as error:
        raise WeightsError(str(error)) from error
    except Exception as error:
        if not is_lack_of_memory(error):
            reject_if_damaged(spec, path)
        raise
    module = module.to(device)
    return module if dtype is None else optimize(module, dtype)


@atexit.register
def _wait_for_readers() -> None:
    for thread in set(_readers) - {threading.current_thread()}:
        thread.join(_LONGEST_READ)


def _dtype(spec: ModelSpec, device: torch.device) -> torch.dtype | None:
    """Returns the type of numbers for which the model is optimized, or None to leave the model as it is."""
    if spec.precision is Precision.EXACT:
        return torch.float32 if device.type in _OPTIMIZED else None
    if spec.precision is Precision.STOCK:
        return None
    dtype = sixteen_bits(device)
    if dtype is None:
        raise WeightsError(
            f"{spec.title} cannot run here: this {device.type.upper()} has no instructions for numbers of sixteen bits. "
            "Choose the exact precision."
        )
    return dtype


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # A user's file may vanish at any time; reading it will raise the error.
        return None
