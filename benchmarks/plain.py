"""Runs documented code of other libraries in a separate process with the default memory and thread settings."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks import PLAIN

_OPENBLAS_THREADS = "OPENBLAS_NUM_THREADS"
# Threads of either process spin for some milliseconds before they sleep.
_REST_SECONDS = 0.02


class PlainProcess:
    """A process that runs functions one at a time while this process waits.

    Args:
        threads: Number of torch's threads.
    """

    def __init__(self, threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there, threads), daemon=True)
        configured = os.environ.pop(_OPENBLAS_THREADS, None)
        os.environ[PLAIN] = "1"
        try:
            self._process.start()
        finally:
            del os.environ[PLAIN]
            if configured is not None:
                os.environ[_OPENBLAS_THREADS] = configured
        there.close()

    def do(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Calls a module's function there; function, arguments and result must be picklable.

        Raises:
            RuntimeError: If it fails; the reason is printed on the terminal.
        """
        time.sleep(_REST_SECONDS)
        self._here.send((function, arguments))
        try:
            result = self._here.recv()
        except EOFError:
            raise RuntimeError(f"{function.__name__} failed in the plain process") from None
        time.sleep(_REST_SECONDS)
        return result

    def close(self) -> None:
        """Ends the process."""
        self._here.close()
        self._process.join()


def _serve(there: Connection, threads: int) -> None:
    torch.set_num_threads(threads)
    while True:
        try:
            function, arguments = there.recv()
        except EOFError:
            return
        there.send(function(*arguments))
