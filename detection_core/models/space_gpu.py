"""Runs a function where a Hugging Face Space with shared GPUs (ZeroGPU) has one; elsewhere it runs as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

_Function = TypeVar("_Function", bound=Callable)


def on_space_gpu(function: _Function) -> _Function:
    """Decorates a function that uses a GPU with `spaces.GPU` if that package is installed, as it is on Spaces.

    There the function runs in another process, so its arguments and what it returns must be picklable.
    """
    try:
        import spaces
    except ImportError:
        return function
    return cast(_Function, spaces.GPU(function))
