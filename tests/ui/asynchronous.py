"""Waiting for what a coroutine gives, also where a browser test has left an event loop running in this thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Given = TypeVar("_Given")


def finish(coroutine: Coroutine[Any, Any, _Given]) -> _Given:
    """Runs a coroutine in an event loop and a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
