"""Ctrl-C and SIGTERM during training: the run stops after a batch, with its checkpoint written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import torch.distributed as dist


class TrainingInterrupted(Exception):  # noqa: N818 (nothing went wrong)
    """The run was stopped by the user; its last checkpoint is written."""


def ignore_interrupts(_: int) -> None:
    """Ignores Ctrl-C, which reaches all processes of a terminal; the training process stops those that read images."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Makes Ctrl-C or SIGTERM stop the run after the current batch, and a second Ctrl-C at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(*_: Any) -> None:
        asked.set()
        # torchrun forwards a Ctrl-C that the terminal has already sent to every process.
        if not dist.is_initialized():
            signal.signal(signal.SIGINT, former[signal.SIGINT])

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
