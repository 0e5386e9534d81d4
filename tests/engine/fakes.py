"""A network that does what a test wants, and a loader that has it for every model."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from detection_core.engine import LocalEngine, Stage
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.loader import ModelLoader
from detection_core.models.prepare import LoadProgress
from detection_core.models.weights import DownloadCancelled

MODEL, OTHER, MASKS = map(get_model_spec, ("ssdlite320_mobilenet_v3_large", "ssd300_vgg16", "maskrcnn_resnet50_fpn"))


class Network(nn.Module):
    """Finds one object in every image, waits if asked to, and records what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.seen: list[int] = []
        self.passes: list[list[int]] = []
        self.most_together = 100
        self.lock = threading.Lock()
        self.running = 0
        self.most_running = 0
        self.error: Exception | None = None
        self.errors: list[BaseException] = []
        self.company: threading.Barrier | None = None

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        shades = [round(float(image[0, 0, 0]) * 255) for image in images]
        self.seen += shades
        self.passes.append(shades)
        self.started.set()
        assert self.go.wait(10)
        if self.company and len(self.seen) > 1:
            with suppress(threading.BrokenBarrierError):
                self.company.wait(10)
        with self.lock:
            self.running -= 1
        if self.error:
            raise self.error
        if self.errors:
            raise self.errors.pop(0)
        if len(images) > self.most_together:
            raise torch.OutOfMemoryError("CUDA")
        one = {"boxes": torch.tensor([[1.0, 2.0, 5.0, 6.0]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
        return [one for _ in images]


class Loader(ModelLoader):
    """Has every model, unless it is set to fail or to take its time."""

    def __init__(self, network: Network) -> None:
        super().__init__(budget_bytes=10**9)
        self.network = network
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.slow: set[str] = set()
        self.loads: Counter[str] = Counter()

    def _read(self, spec: ModelSpec, pending: Any) -> Network:
        self.loads[spec.key] += 1
        if spec.key in self.slow:
            self._report(pending, LoadProgress("download", 3, 10))
            while not self.go.wait(0.01):
                if not self._is_wanted(pending):
                    raise DownloadCancelled("cancelled")
        if self.error:
            raise self.error
        return self.network


def make_image(shade: int) -> LoadedImage:
    return read_image(np.full((20, 30, 3), shade, np.uint8))


def wait_for(job: Any, stage: Stage) -> None:
    """Waits until a job is at a stage; the test fails after ten seconds."""
    state = job.state
    for _ in range(1000):
        if state.stage is stage:
            return
        state = job.wait_for_change(state, 0.01)
    raise AssertionError(f"still at {state}")


def hold(engine: LocalEngine, network: Network, model: ModelSpec, shades: list[int], **options: Any) -> list[Any]:
    """Submits images to a network that finishes none, until as many as possible are in it."""
    network.go.clear()
    network.started.clear()
    jobs = [engine.submit(make_image(shades[0]), model, **options)]
    assert network.started.wait(10)
    jobs += [engine.submit(make_image(shade), model, **options) for shade in shades[1:]]
    for job in jobs[1:]:
        state = job.state
        while state.stage is Stage.LOAD:
            state = job.wait_for_change(state, 0.01)
    return jobs
