"""The loader builds a model once for all callers, shares its result or error, and keeps to its memory budget."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
import torch
from torch import nn

from detection_core.models import loader, prepare, weights
from detection_core.models.build import build_empty
from detection_core.models.catalog import ModelSpec, get_model_spec, list_specs
from detection_core.models.loader import ModelLoader
from detection_core.models.precision import Precision
from detection_core.models.prepare import LoadProgress
from detection_core.models.residents import ResidentModel
from detection_core.models.weights import DownloadCancelled, WeightsError
from tests.download_host import DownloadHost

pytestmark = pytest.mark.usefixtures("home")

A, B, C = list_specs()[1:4]
SSDLITE = get_model_spec("ssdlite320_mobilenet_v3_large")
BYTES_EACH = 400


class FakeWeights:
    """Stands in for disk and network: any model is 100 floats. `gate` holds every load until it is opened."""

    def __init__(self, home: Path) -> None:
        self.file = home / "weights.pth"
        self.file.write_bytes(b"x" * 10)
        self.fetched: list[ModelSpec] = []
        self.failures: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def fetch(self, spec: ModelSpec, on_progress: Callable, cancelled: Callable[[], bool]) -> Path:
        self.fetched.append(spec)
        self.entered.release()
        on_progress(3, 10)
        while not self.gate.wait(0.01):
            if cancelled():
                raise DownloadCancelled("no request is left")
        if self.failures:
            raise self.failures.pop(0)
        return self.file

    def build(self, spec: ModelSpec, path: Path) -> nn.Module:
        module = nn.Module()
        module.values = nn.Parameter(torch.zeros(60))
        module.register_buffer("norms", torch.zeros(40))
        return module


@pytest.fixture
def fake(home, monkeypatch):
    fake = FakeWeights(home)
    monkeypatch.setattr(prepare, "fetch_weights", fake.fetch)
    monkeypatch.setattr(prepare, "build_model", fake.build)
    return fake


# Loads models of 300 MB where there is room for one more than the process has, and one that never fits.
LIMITED = """
import resource
from pathlib import Path
import torch
from torch import nn
from detection_core.models import prepare
from detection_core.models.catalog import list_specs
from detection_core.models.device import is_lack_of_memory
from detection_core.models.loader import ModelLoader

torch.set_num_threads(1)
names = dict(zip(("small", "large", "huge"), list_specs()[1:4]))
sizes = {names["small"].key: 300, names["large"].key: 300, names["huge"].key: 5000}
prepare.fetch_weights = lambda spec, **_: Path("weights")
prepare.optimize = lambda module, dtype: module

def build(spec, path):
    module = nn.Module()
    module.values = nn.Parameter(torch.zeros(sizes[spec.key] * 2**18))
    return module

prepare.build_model = build
models = ModelLoader(2**40)
for name in ("small", "large", "huge", "small"):
    try:
        models.load(names[name])
        resident = [each.key for each in models.resident()]
        print(f"{name}: loaded" + (f", resident: {name}" if name == "large" and resident == [names[name].key] else ""))
    except Exception as error:
        print(f"{name}: MemoryError or like it" if is_lack_of_memory(error) else repr(error))
    if name == "small":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 150 * 2**20, resource.RLIM_INFINITY))
"""


def wait_for_waiters(models: ModelLoader, spec: ModelSpec, count: int) -> None:
    """Returns once so many callers wait for a model; their arrival gives no signal of its own."""
    for _ in range(1000):
        pending = models._pending.get(spec.weights_identity)
        if pending and sum(not waiter.cancelled() for waiter in pending.waiters) == count:
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{count} callers never waited for {spec.key}")


class TestLackOfMemory:
    NO_MEMORY = (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("CUDA out of memory"))

    @pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
    def test_other_models_make_room_and_it_is_tried_once_more(self, fake, error):
        models = ModelLoader(10**9)
        models.load(A)
        models.load(B)
        fake.failures = [error]
        models.load(C)
        assert [model.key for model in models.resident()] == [C.key]
        assert fake.fetched == [A, B, C, C]

    def test_a_second_failure_is_told_and_the_next_call_tries_again(self, fake):
        models = ModelLoader(10**9)
        models.load(A)
        fake.failures = [MemoryError("first"), MemoryError("second")]
        with pytest.raises(MemoryError, match="second"):
            models.load(B)
        models.load(B)
        assert fake.fetched == [A, B, B, B]

    def test_where_no_other_can_go_it_is_told_at_once(self, fake):
        fake.failures = [MemoryError("first")]
        with pytest.raises(MemoryError, match="first"):
            ModelLoader(10**9).load(A)
        assert fake.fetched == [A]

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
    def test_a_process_whose_memory_really_runs_out_goes_on(self):
        done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout.split("\n") == [
            "small: loaded",
            "large: loaded, resident: large",
            "huge: MemoryError or like it",
            "small: loaded",
            "",
        ], done.stderr


class TestSharedLoads:
    def test_sixteen_threads_one_load(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        with ThreadPoolExecutor(16) as pool:
            loads = [pool.submit(models.load, A) for _ in range(16)]
            wait_for_waiters(models, A, 16)
            fake.gate.set()
            modules = {id(load.result(10)) for load in loads}
        assert len(modules) == 1
        assert fake.fetched == [A]

    def test_later_calls_are_answered_from_memory(self, fake):
        models = ModelLoader(10**9)
        assert models.load(A) is models.load(A)
        assert fake.fetched == [A]

    def test_different_models_load_at_the_same_time(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        with ThreadPoolExecutor(2) as pool:
            loads = [pool.submit(models.load, spec) for spec in (A, B)]
            assert all(fake.entered.acquire(timeout=10) for _ in loads)
            fake.gate.set()
            assert loads[0].result(10) is not loads[1].result(10)

    def test_an_error_is_shared_and_the_next_call_tries_again(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        fake.failures = [WeightsError("no network")]
        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(models.load, A) for _ in range(4)]
            wait_for_waiters(models, A, 4)
            fake.gate.set()
            assert {str(load.exception(10)) for load in loads} == {"no network"}
        assert models.load(A) is not None
        assert fake.fetched == [A, A]

    @pytest.mark.parametrize("error", [MemoryError("too big"), KeyboardInterrupt()], ids=repr)
    def test_any_failure_ends_the_wait(self, fake, monkeypatch, error):
        def fail(spec, path):
            raise error

        monkeypatch.setattr(prepare, "build_model", fail)
        monkeypatch.setattr(prepare, "reject_if_damaged", lambda spec, path: None)
        with pytest.raises(type(error)):
            ModelLoader(10**9).load(A)


class TestCancelling:
    def test_one_gives_up_and_the_others_go_on(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        gone = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(models.load, A, cancelled=gone.is_set)
            wait_for_waiters(models, A, 1)
            others = [pool.submit(models.load, A) for _ in range(2)]
            wait_for_waiters(models, A, 3)
            gone.set()
            assert isinstance(first.exception(10), DownloadCancelled)
            fake.gate.set()
            assert others[0].result(10) is others[1].result(10)
        assert fake.fetched == [A]

    def test_all_give_up_and_the_load_ends(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        with pytest.raises(DownloadCancelled):
            models.load(A, cancelled=lambda: True)
        for thread in threading.enumerate():
            if thread.name == f"load {A.key}":
                thread.join(10)
        assert models._pending == {}
        fake.gate.set()
        assert models.load(A) is not None

    def test_who_joins_a_load_that_was_given_up_begins_another(self, fake):
        models = ModelLoader(10**9)
        fake.failures = [DownloadCancelled("given up by others")]
        assert models.load(A) is not None
        assert fake.fetched == [A, A]

    def test_a_callback_that_raises_hurts_only_its_owner(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()

        def break_down(progress):
            raise ZeroDivisionError

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(models.load, A)
            wait_for_waiters(models, A, 1)
            with pytest.raises(ZeroDivisionError):
                models.load(A, on_progress=break_down)
            wait_for_waiters(models, A, 1)
            fake.gate.set()
            assert other.result(10) is not None


class TestProgress:
    def test_download_then_load(self, fake):
        seen = []
        fake.gate.clear()

        def on_progress(progress):
            seen.append(progress)
            fake.gate.set()

        ModelLoader(10**9).load(A, on_progress=on_progress)
        assert seen == [LoadProgress("download", 3, 10), LoadProgress("load", 0, 10)]

    def test_nothing_is_reported_about_a_model_in_memory(self, fake):
        models, seen = ModelLoader(10**9), []
        models.load(A)
        models.load(A, on_progress=seen.append)
        assert seen == []


class TestRequests:
    """What the engine uses: no thread waits."""

    @staticmethod
    def ask(models: ModelLoader, spec: ModelSpec, cancelled: Callable[[], bool] = lambda: False) -> SimpleQueue[object]:
        """Everything that the callbacks are called with."""
        events: SimpleQueue[object] = SimpleQueue()
        assert models.request(spec, on_progress=events.put, on_done=events.put, cancelled=cancelled) is None
        return events

    def test_a_model_in_memory_is_returned_and_nothing_is_called(self, fake):
        models = ModelLoader(10**9)
        module = models.load(A)
        assert models.request(A, on_progress=None, on_done=None, cancelled=None) is module

    def test_a_second_request_gets_the_state_at_once(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        first = self.ask(models, A)
        assert first.get(timeout=10) == LoadProgress("download", 3, 10)
        second = self.ask(models, A)
        assert second.get_nowait() == LoadProgress("download", 3, 10)
        fake.gate.set()
        ends = [[events.get(timeout=10) for _ in range(2)] for events in (first, second)]
        assert ends == [[LoadProgress("load", 0, 10), models.load(A)]] * 2
        assert fake.fetched == [A]

    def test_an_error_reaches_all_requests(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        fake.failures = [WeightsError("no network")]
        asked = [self.ask(models, A) for _ in range(3)]
        fake.gate.set()
        errors = {[events.get(timeout=10) for _ in range(2)][-1] for events in asked}
        assert [str(error) for error in errors] == ["no network"]

    def test_who_asks_after_all_others_have_cancelled_is_served(self, fake):
        models = ModelLoader(10**9)
        fake.gate.clear()
        gone = threading.Event()
        self.ask(models, A, gone.is_set)
        assert fake.entered.acquire(timeout=10)
        # The load may or may not notice in time: it continues or starts again, and succeeds either way.
        gone.set()
        events = self.ask(models, A)
        fake.gate.set()
        seen = [events.get(timeout=10)]
        while isinstance(seen[-1], LoadProgress):
            seen.append(events.get(timeout=10))
        assert isinstance(seen[-1], nn.Module)


class TestBudget:
    def test_the_least_recently_used_goes_first(self, fake):
        models = ModelLoader(2 * BYTES_EACH)
        for spec in (A, B, A, C):
            models.load(spec)
        assert models.resident() == [ResidentModel(A.key, BYTES_EACH, "cpu"), ResidentModel(C.key, BYTES_EACH, "cpu")]
        models.load(B)
        assert fake.fetched == [A, B, C, B]

    def test_a_model_above_the_budget_stays_alone(self, fake):
        models = ModelLoader(0)
        for spec in (A, B):
            models.load(spec)
            assert [model.key for model in models.resident()] == [spec.key]

    def test_unload(self, fake):
        models = ModelLoader(10**9)
        models.load(A)
        assert models.unload(A.key)
        assert not models.unload(A.key)
        assert models.resident() == []
        models.load(A)
        assert fake.fetched == [A, A]

    def test_what_models_took_goes_back_to_the_system(self, fake, monkeypatch):
        given_back = threading.Semaphore(0)
        monkeypatch.setattr(loader, "release_freed_memory", given_back.release)
        models = ModelLoader(0)
        models.load(A)
        assert given_back.acquire(timeout=10)
        models.unload(A.key)
        assert given_back.acquire(timeout=10)

    def test_a_model_is_in_memory_once_for_each_precision(self, fake):
        models = ModelLoader(10**9)
        first, second = models.load(A), models.load(A.in_precision(Precision.STOCK))
        assert first is not second
        assert [resident.key for resident in models.resident()] == [A.key, f"{A.key}@stock"]

    def test_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("DETECTION_EXPLORER_MEMORY_BUDGET", "1.5GiB")
        assert ModelLoader().budget_bytes == 3 << 29
        assert ModelLoader(7).budget_bytes == 7


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A weights file of SSDlite."""
    file = tmp_path_factory.mktemp("content") / "x.pth"
    torch.save(build_empty(SSDLITE.architecture).state_dict(), file)
    return file.read_bytes()


class TestRealModels:
    """The whole way, with the smallest of torchvision's models and random weights."""

    def test_states(self, cache, content):
        models = ModelLoader(10**9)
        assert models.state(SSDLITE) == "to download"
        cache.mkdir(parents=True)
        (cache / SSDLITE.file_name).write_bytes(content)
        assert models.state(SSDLITE) == "on disk"
        module = models.load(SSDLITE)
        assert models.state(SSDLITE) == "in memory"
        assert not module.training
        [resident] = models.resident()
        assert resident.device == "cpu"
        # Its weights, and once more in the order in which they are read.
        assert resident.bytes == pytest.approx(2 * SSDLITE.params * 4, rel=0.02)

    def test_downloaded_by_many_at_once(self, cache, content, monkeypatch):
        spec = make_downloadable(content)
        models = ModelLoader(10**9)
        with DownloadHost(files={spec.file_name: content}, hold_after=100_000) as host, ThreadPoolExecutor(4) as pool:
            monkeypatch.setenv(weights.MIRROR, host.url)
            seen: list[LoadProgress] = []
            loads = [pool.submit(models.load, spec, on_progress=seen.append) for _ in range(4)]
            wait_for_waiters(models, spec, 4)
            host.go_on.set()
            assert len({id(load.result(20)) for load in loads}) == 1
            assert len(host.requests) == 1
        assert LoadProgress("load", 0, len(content)) in seen
        assert any(progress.stage == "download" and progress.total == len(content) for progress in seen)

    def test_asked_for_again_after_a_cancelled_download(self, cache, content, monkeypatch):
        spec = make_downloadable(content)
        models = ModelLoader(10**9)
        with DownloadHost(files={spec.file_name: content}, hold_after=100_000) as host:
            monkeypatch.setenv(weights.MIRROR, host.url)
            arrived = threading.Event()
            with pytest.raises(DownloadCancelled):
                models.load(spec, on_progress=lambda progress: progress.done and arrived.set(), cancelled=arrived.is_set)
            host.hold_after = None
            host.go_on.set()
            assert models.load(spec) is not None
        assert (cache / spec.file_name).read_bytes() == content


def make_downloadable(content: bytes) -> ModelSpec:
    """SSDlite under a file name that carries the hash of `content`."""
    return dataclasses.replace(SSDLITE, file_name=f"ssdlite-{hashlib.sha256(content).hexdigest()[:8]}.pth")
