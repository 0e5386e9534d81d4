"""Functions of glibc by which a process says how it wants its memory managed; other C libraries have none such."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


@cache
def find(name: str) -> Callable[..., int] | None:
    """The function of that name, or None where the C library has none."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found
