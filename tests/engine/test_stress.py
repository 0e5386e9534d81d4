"""Many at once, and for long: results stay right, memory stays within its budget, visitors get fair shares, and nothing accumulates."""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from detection_core.detections import Detections
from detection_core.engine import LocalEngine, Stage, local, passes
from detection_core.engine.cores import CoreAllocation, Cores
from detection_core.models import prepare
from detection_core.models.catalog import ModelSpec, get_model_spec, list_models, list_specs
from detection_core.models.detector import Timings
from detection_core.models.empty import build_on_meta
from detection_core.models.loader import ModelLoader
from detection_core.models.precision import Precision
from detection_core.models.residents import size_in_memory
from tests.engine.fakes import Loader, Network, make_image, wait_for

KEYS = list_models()[1:5]
LIGHT, HEAVY = KEYS[:2]
NOWHERE = Path("weights.pth")
THREADS = 32
FLOATS = 100
BYTES_EACH = 4 * FLOATS


class Tiny(nn.Module):
    """Finds one object, whose place depends on the model and the image."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.full((FLOATS,), float(number)), requires_grad=False)

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        x, y = float(self.number[0]), float(images[0][0, 0, 0]) * 255
        return [{"boxes": torch.tensor([[x, y, x + 1, y + 1]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}]


class Builds:
    """Stands in for disk and network, and counts how many of a model are built at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_flight: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def fetch(self, spec: ModelSpec, **_: Any) -> Path:
        with self.lock:
            self.in_flight[spec.key] += 1
            self.most[spec.key] = max(self.most[spec.key], self.in_flight[spec.key])
        return NOWHERE

    def build(self, spec: ModelSpec, _: Path) -> nn.Module:
        module = Tiny(KEYS.index(spec.key))
        with self.lock:
            self.in_flight[spec.key] -= 1
        return module


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    monkeypatch.setattr(prepare, "fetch_weights", builds.fetch)
    monkeypatch.setattr(prepare, "build_model", builds.build)
    return builds


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns a hundred times as often as usual, so that they meet in more places."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    yield
    sys.setswitchinterval(usual)


def in_memory() -> int:
    gc.collect()
    return sum(type(thing) is Tiny for thing in gc.get_objects())


def expect_two_in_memory() -> None:
    """A thread that has given its result lets go of its model a moment later."""
    deadline = time.monotonic() + 10
    while in_memory() > 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert in_memory() <= 2


def run_in_threads(work: Any) -> None:
    """Runs the work in all threads at once; an error in one fails the test."""
    start = threading.Barrier(THREADS)

    def begin(number: int) -> None:
        start.wait(10)
        work(random.Random(number))

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(begin, number) for number in range(THREADS)]:
            done.result(60)


@pytest.mark.usefixtures("hasty")
def test_many_threads_load_more_models_than_fit(builds: Builds):
    models = ModelLoader(2 * BYTES_EACH)

    def load(chance: random.Random) -> None:
        for key in chance.choices(KEYS, k=25):
            assert models.load(get_model_spec(key)).number[0] == KEYS.index(key)
            assert sum(model.bytes for model in models.resident()) <= models.budget_bytes

    run_in_threads(load)
    assert builds.most == dict.fromkeys(KEYS, 1), "one load at a time per model"
    expect_two_in_memory()


@pytest.mark.usefixtures("hasty")
def test_many_threads_detect_with_more_models_than_fit(builds: Builds):
    engine = LocalEngine(loader=ModelLoader(2 * BYTES_EACH), cores=2)

    def detect(chance: random.Random) -> None:
        for key in chance.choices(KEYS, k=10):
            shade, keep = chance.randrange(200), chance.random() < 0.5
            found = engine.submit(make_image(shade), get_model_spec(key), visitor=str(chance.random()), keep=keep).result(60).detections
            assert found.model == key
            assert found.boxes[0, :2].round().tolist() == [KEYS.index(key), shade]
            assert sum(model.bytes for model in engine.loader.resident()) <= engine.loader.budget_bytes

    run_in_threads(detect)
    engine.close()
    assert max(builds.most.values()) == 1
    expect_two_in_memory()


@cache
def hollow(key: str) -> nn.Module:
    """A model with weights that have a size and are nowhere."""
    return build_on_meta(get_model_spec(key).architecture)


@pytest.mark.parametrize(("megabytes", "switches"), [(400, 100), *(pytest.param(n, 500, marks=pytest.mark.slow) for n in (100, 400, 1500))])
def test_random_switches_over_all_models_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch, megabytes: int, switches: int):
    monkeypatch.setattr(prepare, "fetch_weights", lambda spec, **_: NOWHERE)
    monkeypatch.setattr(prepare, "build_model", lambda spec, _: hollow(spec.in_precision(Precision.EXACT).key))
    specs = [spec.in_precision(precision) for spec in list_specs() for precision in (Precision.EXACT, Precision.STOCK)]
    models = ModelLoader(megabytes * 10**6, device="meta")
    expected: OrderedDict[str, int] = OrderedDict()
    for spec in random.Random(0).choices(specs, k=switches):
        expected[spec.key] = size_in_memory(models.load(spec))
        expected.move_to_end(spec.key)
        while len(expected) > 1 and sum(expected.values()) > models.budget_bytes:
            expected.popitem(last=False)
        assert {model.key: model.bytes for model in models.resident()} == expected
        assert sum(expected.values()) <= max(models.budget_bytes, expected[spec.key])


class Turns(Cores):
    """Deals out cores and writes down to which models; the engine asks in the order in which images have their turns."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.order: list[str] = []

    def acquire(self, model: str, *, others_wait: bool, undisturbed: bool = False) -> CoreAllocation | None:
        allocation = super().acquire(model, others_wait=others_wait, undisturbed=undisturbed)
        self.order += [model] if allocation else []
        return allocation


class Line:
    """An engine of two cores that knows two models, and how long they take because the test makes it up; its gate may be closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        monkeypatch.setattr(passes, "run", self.run)
        monkeypatch.setattr(local, "Cores", Turns)
        self.engine = LocalEngine(loader=Loader(Network()), cores=2, max_jobs=200, max_jobs_per_visitor=200)
        for key in seconds:
            # The fake loader has one module for all, whose very first run is not typical.
            for _ in range(2):
                self.engine.submit(make_image(0), get_model_spec(key), keep=False).result(10)

    def run(self, module: nn.Module, spec: ModelSpec, images: list[Any], device: torch.device, *, tasks: Any) -> Any:
        self.began.set()
        assert self.gate.wait(10)
        return [Detections.empty((20, 30), spec.categories)], Timings(network=self.seconds[spec.key])

    def served(self, *sent: tuple[str, int]) -> list[str]:
        """Lets visitors send so many images for a model, one visitor after the other; returns for which models they have their turns."""
        self.gate.clear()
        self.began.clear()
        first = self.engine.submit(make_image(0), get_model_spec(LIGHT), keep=False)
        assert self.began.wait(10)
        taken: list[str] = self.engine._runs._cores.order  # type: ignore[attr-defined]
        taken.clear()
        jobs = []
        for visitor, (key, count) in enumerate(sent):
            jobs += [self.engine.submit(make_image(0), get_model_spec(key), visitor=str(visitor), keep=False) for _ in range(count)]
            for job in jobs:
                wait_for(job, Stage.QUEUE)
        self.gate.set()
        for job in [first, *jobs]:
            job.result(10)
        self.engine.close()
        return taken


@pytest.mark.parametrize(("light", "heavy"), [(0.1, 0.3), (0.1, 2.0)], ids=["side by side", "one needs all cores"])
def test_visitors_share_two_cores_by_the_time_that_their_images_take(monkeypatch: pytest.MonkeyPatch, light: float, heavy: float):
    seconds = {LIGHT: light, HEAVY: heavy}
    count = round(5 * heavy / light)
    served = Line(monkeypatch, seconds).served((HEAVY, 5), (LIGHT, count))
    assert Counter(served) == {HEAVY: 5, LIGHT: count}
    used = dict.fromkeys(seconds, 0.0)
    for key in served:
        used[key] += seconds[key]
        assert abs(used[HEAVY] - used[LIGHT]) <= heavy + light + 1e-6


def test_one_image_comes_before_the_second_of_who_sent_ten(monkeypatch: pytest.MonkeyPatch):
    served = Line(monkeypatch, {LIGHT: 0.1, HEAVY: 0.1}).served((LIGHT, 10), (HEAVY, 1))
    assert served.index(HEAVY) == 1


@pytest.mark.parametrize("keep", [True, False])
def test_nothing_of_a_request_stays_but_results_that_are_kept(keep: bool):
    engine = LocalEngine(loader=Loader(Network()), cores=2, kept_results=10)
    images: list[weakref.ref[Any]] = []
    results: list[weakref.ref[Any]] = []
    jobs: list[weakref.ref[Any]] = []
    for number in range(400):
        image = make_image(number % 256)
        job = engine.submit(image, get_model_spec(KEYS[number % len(KEYS)]), visitor=str(number), keep=keep)
        results.append(weakref.ref(job.result(10).detections))
        images.append(weakref.ref(image))
        jobs.append(weakref.ref(job))
    del image, job
    engine.close()
    gc.collect()
    assert not any(reference() for reference in images)
    assert not any(reference() for reference in jobs)
    assert sum(reference() is not None for reference in results) == (10 if keep else 0)
