"""Checks whether a device can be used, and whether an error means that memory has run out."""

from __future__ import annotations

import re

import torch

from detection_core.errors import UserError

# torch's wording on the CPU of Linux and Windows, and on GPUs.
_NO_MEMORY = re.compile("allocate memory|not enough memory|out of memory", re.IGNORECASE)


class DeviceError(UserError, ValueError):
    """A device cannot be used; the message tells the user why."""


def require_device(name: str) -> None:
    """Runs a small operation on a device, given by torch's name: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DeviceError: If there is no device of that name, or it cannot compute.
    """
    try:
        torch.zeros(1, device=torch.device(name)).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # The exception depends on how torch was built.
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DeviceError(f"The device “{name}” cannot be used here: {reason}.") from error


def is_lack_of_memory(error: BaseException) -> bool:
    """Returns whether memory has run out; torch may raise a plain RuntimeError for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(_NO_MEMORY.search(str(error)))
