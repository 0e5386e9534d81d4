"""Runs coroutines in tests, also in a process in which Playwright has left its event loop running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def run_async(coroutine: Coroutine[Any, Any, _Value]) -> _Value:
    """Returns what a coroutine returns; it runs in an event loop of its own, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
