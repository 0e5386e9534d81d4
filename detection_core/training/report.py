"""Reports a training run: lines of progress, and a curve of losses and average precisions as an image."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from detection_core.visualization.charts import training_chart

_SECONDS_BETWEEN_LINES = 10.0
_METRIC_NAMES = {"box_map": "box AP", "mask_map": "mask AP", "kp_map": "keypoint AP"}


class Progress:
    """Collects losses and reports the progress of the run.

    Args:
        say: Called with a line of progress for the user.
        steps: Batches in the whole run.
        done: Batches completed before an interruption.
    """

    def __init__(self, say: Callable[[str], None], steps: int, done: int = 0) -> None:
        self._say = say
        self._steps = steps
        self._first = self._done = done
        self._images = 0
        self._busy = 0.0
        self._last = self._said = time.monotonic()
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._recent: dict[str, float] = {}

    def start_epoch(self) -> None:
        """Restarts the clock, so that measuring does not count as training time."""
        self._last = time.monotonic()

    def step(self, epoch: int, losses: Mapping[str, float], images: int) -> None:
        """Records a batch, and reports a line if one is due.

        Args:
            epoch: Its epoch, from 1.
            losses: Losses by torchvision's names.
            images: Number of images in it, in all processes.
        """
        self._done += 1
        self._images += images
        for name, value in losses.items():
            if not math.isfinite(value):
                continue
            self._sums[name] += value
            self._counts[name] += 1
            # An average over some thirty batches, because single batches fluctuate.
            self._recent[name] = value + 0.97 * (self._recent.get(name, value) - value)
        now = time.monotonic()
        self._busy += now - self._last
        self._last = now
        if now - self._said < _SECONDS_BETWEEN_LINES and self._done < self._steps:
            return
        self._said = now
        rate = self._images / self._busy
        left = self._busy / (self._done - self._first) * (self._steps - self._done)
        parts = ", ".join(f"{name} {value:.3f}" for name, value in self._recent.items())
        self._say(f"epoch {epoch}, batch {self._done} of {self._steps}, {rate:.2f} images/s, {_duration(left)} left: {parts}")

    def state(self) -> dict[str, dict[str, float]]:
        """Returns the losses of an unfinished epoch, for `restore` in a resumed run."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def restore(self, state: dict[str, dict[str, float]]) -> None:
        """Restores the result of `state`."""
        self._sums.update(state["sums"])
        self._counts.update({name: int(count) for name, count in state["counts"].items()})

    def epoch_losses(self) -> dict[str, float]:
        """Returns the mean of every loss since the last call."""
        means = {name: round(total / self._counts[name], 5) for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        return means


def describe(metrics: Mapping[str, float]) -> str:
    """Describes average precisions: "box AP 31.2, mask AP 27.0"."""
    return ", ".join(f"{_METRIC_NAMES[name]} {value:.1f}" for name, value in metrics.items()) or "nothing to measure"


def write_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Writes the history of a run as an image and, beside it, as JSON.

    Args:
        history: One entry per epoch: `epoch`, `losses`, `metrics`.
        path: The `.png` to write; the JSON gets the same name.
    """
    names = list(dict.fromkeys(name for entry in history for name in entry["losses"]))
    losses = {name: [(entry["epoch"], entry["losses"][name]) for entry in history if name in entry["losses"]] for name in names}
    metrics = {
        nice: [(entry["epoch"], entry["metrics"][name]) for entry in history if name in entry["metrics"]]
        for name, nice in _METRIC_NAMES.items()
    }
    path.write_bytes(training_chart(losses, {name: points for name, points in metrics.items() if points}))
    path.with_suffix(".json").write_text(json.dumps(history, indent=2) + "\n")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
