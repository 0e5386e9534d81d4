"""Runs a reader on many inputs in a process of its own, so that one that hangs, dies or takes all memory is found like any other."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.readers import input_of, reader_of

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 120


@dataclass(frozen=True)
class Failure:
    """An input for which a reader broke a promise.

    Attributes:
        number: The input's number in the run.
        kind: What happened and where; failures of the same kind have the same cause.
        details: The traceback, or what else is known.
    """

    number: int
    kind: str
    details: str


@dataclass
class Run:
    """What came of the inputs of a reader.

    Attributes:
        name: The reader.
        outcomes: How many inputs were accepted, refused or failed.
        failures: The first failure of each kind.
        kinds: How often each kind of failure occurred.
        slowest: Seconds that the slowest input took.
    """

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def add(self, failure: Failure) -> None:
        """Counts a failure."""
        self.outcomes["failed"] += 1
        if failure.kind not in self.kinds:
            self.failures.append(failure)
        self.kinds[failure.kind] += 1


def fuzz(name: str, *, seconds: float, most: int | None = None, seed: int = 0, patience: float = 20, megabytes: int = 1500) -> Run:
    """Tries inputs until the time is over.

    Args:
        name: The reader.
        seconds: How long, without starting the process.
        most: How many inputs at most.
        seed: Another seed gives other inputs.
        patience: After how many seconds an input counts as one that hangs.
        megabytes: How much more memory an input may take than the process has when it starts.
    """
    run, number = Run(name), 0
    left = seconds
    while left > 0 and (most is None or number < most):
        number, taken = _until_it_ends(run, number, left, most, seed, patience, megabytes)
        left -= taken
    return run


def _until_it_ends(run: Run, first: int, seconds: float, most: int | None, seed: int, patience: float, megabytes: int) -> tuple[int, float]:
    """Runs one process until the time is over or it dies; returns the next input's number, and the seconds since its first input."""
    command = [sys.executable, "-m", "tests.fuzz.worker", run.name, str(seed), str(first), str(megabytes)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": folder}) as process,
    ):
        try:
            return _follow(process, run, first, seconds, most, patience)
        finally:
            process.kill()


def _follow(process: subprocess.Popen[str], run: Run, number: int, seconds: float, most: int | None, patience: float) -> tuple[int, float]:
    lines: queue.Queue[str] = queue.Queue()

    def pump() -> None:
        assert process.stdout is not None
        with suppress(ValueError):  # It is closed when enough has been read.
            for line in process.stdout:
                lines.put(line)
        lines.put("")

    threading.Thread(target=pump, daemon=True).start()
    started, begun = 0.0, False
    while True:
        try:
            line = lines.get(timeout=patience if begun else _START_SECONDS)
        except queue.Empty:
            run.add(Failure(number, "hang", f"It took more than {patience:g} seconds."))
            return number + 1, time.monotonic() - started
        if not line:
            if not begun:
                raise RuntimeError(f"the process of {run.name} ends with {process.wait()} before its first input")
            code = process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            run.add(Failure(number, f"death by {how}", "The process has ended."))
            return number + 1, time.monotonic() - started
        message: dict[str, Any] = json.loads(line)
        now = time.monotonic()
        if "begun" in message:
            started = started or now
            number, begun, latest = message["begun"], True, now
            continue
        run.slowest = max(run.slowest, now - latest)
        number += 1
        if message["outcome"] == "failed":
            run.add(Failure(message["number"], message["kind"], f"{message['what']}\n\n{message['trace']}"))
        else:
            run.outcomes[message["outcome"]] += 1
        if now - started > seconds or (most is not None and number >= most):
            return number, now - started


def save(run: Run, folder: Path, seed: int) -> list[Path]:
    """Writes the input and the details of each kind of failure into a folder, and returns the files of the inputs."""
    if not run.failures:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    reader, written = reader_of(run.name), []
    with tempfile.TemporaryDirectory() as place:
        seeds = reader.seeds(Path(place))
    for failure in run.failures:
        path = folder / f"{run.name}-{seed}-{failure.number}"
        path.write_bytes(input_of(reader, seeds, run.name, seed, failure.number))
        path.with_suffix(".txt").write_text(f"{failure.kind}\n\n{failure.details}", "utf-8", "backslashreplace")
        written.append(path)
    return written
