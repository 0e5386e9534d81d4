"""Whether a device can be computed on here, and whether its memory has run out."""

from __future__ import annotations

import re

import torch

from detection_core.errors import UserError

# How torch says it on the CPU of Linux and Windows, and on GPUs.
_NO_MEMORY = re.compile("allocate memory|not enough memory|out of memory", re.IGNORECASE)


class DeviceError(UserError, ValueError):
    """A device cannot be used; the message says why, for people."""


def require_device(name: str) -> None:
    """Tries a device, as torch names it: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DeviceError: If there is none of that name, or nothing can be computed on it.
    """
    try:
        torch.zeros(1, device=torch.device(name)).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # What torch raises depends on what it was built without.
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DeviceError(f"The device “{name}” cannot be used here: {reason}.") from error


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether this is what Python or torch raises when memory runs out; torch raises a RuntimeError like any other."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(_NO_MEMORY.search(str(error)))
