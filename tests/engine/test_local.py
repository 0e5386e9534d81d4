from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from detection_core.engine import Cancelled, EngineBusyError, EngineError, LocalEngine, Stage, VisitorBusyError
from detection_core.engine.ray import engine as ray_engine
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models import detector
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.loader import LoadProgress, ModelLoader
from detection_core.models.weights import DownloadCancelled, WeightsError
from tests.engine.ray.in_process import InProcessLink
from tests.machine import reports_a_peak

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


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def loader(network: Network) -> Loader:
    return Loader(network)


@pytest.fixture(params=["local", "ray"])
def engine(loader: Loader, network: Network, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """What the page uses must be the same wherever detection runs."""
    if request.param == "ray":
        monkeypatch.setattr(ray_engine, "ClusterLink", InProcessLink(loader))
    engine = LocalEngine(loader=loader, cores=1) if request.param == "local" else ray_engine.RayEngine()
    yield engine
    network.go.set()
    loader.go.set()
    engine.close()


def make_image(shade: int) -> LoadedImage:
    return read_image(np.full((20, 30, 3), shade, np.uint8))


def test_gives_detections_and_timings(engine):
    result = engine.submit(make_image(1), MODEL).result(10)
    assert result.detections.boxes.tolist() == [[1, 2, 5, 6]]
    assert result.detections.image_size == (20, 30)
    assert result.detections.model == MODEL.key
    assert result.timings.network > 0
    assert result.timings.load > 0
    assert result.first_run
    assert result.spec is MODEL
    assert not engine.submit(make_image(2), MODEL).result(10).first_run


def test_a_model_runs_once_per_image(engine, network):
    first = engine.submit(make_image(7), MODEL).result(10)
    again = engine.submit(make_image(7), MODEL).result(10)
    assert again.detections is first.detections
    assert (first.kept, first.first_run) == (False, True)
    assert (again.kept, again.first_run) == (True, False)
    engine.submit(make_image(7), OTHER).result(10)
    assert network.seen == [7, 7]


def test_keeps_only_so_many_results(loader, network):
    engine = LocalEngine(loader=loader, kept_results=2)
    for shade in (1, 2, 3, 1):
        engine.submit(make_image(shade), MODEL).result(10)
    engine.close()
    assert network.seen == [1, 2, 3, 1]


def test_images_pass_one_at_a_time_and_in_order(engine, network):
    network.go.clear()
    jobs = [engine.submit(make_image(0), MODEL)]
    assert network.started.wait(10)
    for shade in range(1, 6):
        jobs.append(engine.submit(make_image(shade), MODEL))
        wait_for(jobs[-1], Stage.QUEUE)
    assert [job.state.done for job in jobs[1:]] == [0, 1, 2, 3, 4]
    network.go.set()
    for job in jobs:
        job.result(10)
    assert network.seen == list(range(6))
    assert network.most_running == 1


def test_a_job_does_not_wait_for_another_models_download(engine, loader):
    loader.slow.add(OTHER.key)
    loader.go.clear()
    downloading = engine.submit(make_image(1), OTHER)
    wait_for(downloading, Stage.DOWNLOAD)
    assert (downloading.state.done, downloading.state.total) == (3, 10)
    assert len(engine.submit(make_image(2), MODEL).result(10).detections) == 1
    loader.go.set()
    assert len(downloading.result(10).detections) == 1


def test_many_that_wait_for_one_download_block_no_others(engine, loader):
    loader.slow.add(OTHER.key)
    loader.go.clear()
    jobs = [engine.submit(make_image(shade), OTHER, visitor=str(shade)) for shade in range(30)]
    for job in jobs:
        wait_for(job, Stage.DOWNLOAD)
    assert len(engine.submit(make_image(99), MODEL).result(10).detections) == 1
    loader.go.set()
    assert {len(job.result(10).detections) for job in jobs} == {1}
    assert loader.loads == {OTHER.key: 1, MODEL.key: 1}


def test_a_download_goes_on_for_those_who_stay(engine, loader):
    loader.slow.add(OTHER.key)
    loader.go.clear()
    leaves, stays = engine.submit(make_image(1), OTHER), engine.submit(make_image(2), OTHER)
    wait_for(stays, Stage.DOWNLOAD)
    leaves.cancel()
    loader.go.set()
    assert len(stays.result(10).detections) == 1
    assert loader.loads == {OTHER.key: 1}


def test_who_comes_after_all_have_left_is_served(engine, loader):
    loader.slow.add(OTHER.key)
    loader.go.clear()
    for shade in range(5):
        job = engine.submit(make_image(shade), OTHER)
        wait_for(job, Stage.DOWNLOAD)
        job.cancel()
    last = engine.submit(make_image(9), OTHER)
    loader.go.set()
    assert len(last.result(10).detections) == 1


def test_the_same_image_at_once_runs_once(engine, network):
    network.go.clear()
    jobs = [engine.submit(make_image(7), MODEL) for _ in range(5)]
    assert network.started.wait(10)
    network.go.set()
    assert [job.result(10).kept for job in jobs] == [False, True, True, True, True]
    assert network.seen == [7]


@pytest.mark.parametrize(
    ("most", "visitors", "refused"),
    [
        (8, ["a"], VisitorBusyError),
        (64, [str(number) for number in range(64)], EngineBusyError),
        (64, [""], EngineBusyError),
    ],
    ids=["one visitor", "all", "visitors without a name"],
)
def test_too_many_images_are_refused_until_some_are_done(engine, network, most, visitors, refused):
    network.go.clear()
    jobs = [engine.submit(make_image(number), MODEL, visitor=visitors[number % len(visitors)]) for number in range(most)]
    with pytest.raises(refused, match="Try again") as caught:
        engine.submit(make_image(most), MODEL, visitor=visitors[0])
    assert type(caught.value) is refused
    if refused is VisitorBusyError:
        jobs.append(engine.submit(make_image(most + 1), MODEL, visitor="b"))
    network.go.set()
    for job in jobs:
        job.result(10)
    assert len(engine.submit(make_image(most), MODEL, visitor=visitors[0]).result(10).detections) == 1


def test_a_cancelled_job_in_the_queue_never_runs(engine, network):
    network.go.clear()
    first = engine.submit(make_image(1), MODEL)
    assert network.started.wait(10)
    second, third = engine.submit(make_image(2), MODEL), engine.submit(make_image(3), MODEL)
    wait_for(third, Stage.QUEUE)
    second.cancel()
    network.go.set()
    first.result(10)
    third.result(10)
    assert network.seen == [1, 3]
    with pytest.raises(Cancelled):
        second.result(10)


def test_a_visitor_who_leaves_takes_their_jobs_along(engine, loader, network):
    loader.slow.add(OTHER.key)
    loader.go.clear()
    gone = engine.submit(make_image(1), OTHER, visitor="gone")
    stays = engine.submit(make_image(2), MODEL, visitor="stays")
    wait_for(gone, Stage.DOWNLOAD)
    engine.cancel_visitor("gone")
    with pytest.raises(Cancelled):
        gone.result(10)
    assert len(stays.result(10).detections) == 1
    assert network.seen == [2]


def test_closing_gives_up_all_jobs(engine, loader):
    loader.slow.add(MODEL.key)
    loader.go.clear()
    job = engine.submit(make_image(1), MODEL)
    wait_for(job, Stage.DOWNLOAD)
    engine.close()
    with pytest.raises(Cancelled):
        job.result(10)


def test_missing_weights_are_the_jobs_error_and_the_next_one_tries_again(engine, loader):
    loader.error = WeightsError("no weights today")
    with pytest.raises(WeightsError, match="no weights today"):
        engine.submit(make_image(1), MODEL).result(10)
    loader.error = None
    assert len(engine.submit(make_image(1), MODEL).result(10).detections) == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [(torch.OutOfMemoryError("CUDA"), "too little memory"), (RuntimeError("/secret/path"), "failed unexpectedly")],
    ids=["out of memory", "anything else"],
)
def test_a_failing_network_is_reported_without_its_internals(engine, network, error, message):
    network.error = error
    with pytest.raises(EngineError, match=message) as caught:
        engine.submit(make_image(1), MODEL).result(10)
    assert "secret" not in str(caught.value)


def test_other_models_make_room_when_memory_runs_out_in_a_run(engine, loader, network):
    engine.submit(make_image(1), OTHER).result(10)
    engine.submit(make_image(1), MODEL).result(10)
    network.errors = [torch.OutOfMemoryError("CUDA out of memory")]
    assert len(engine.submit(make_image(2), MODEL).result(10).detections) == 1
    assert [model.key for model in loader.resident()] == [MODEL.key]
    # Now there is nothing left to let go.
    network.errors = [torch.OutOfMemoryError("CUDA out of memory")]
    with pytest.raises(EngineError, match="too little memory"):
        engine.submit(make_image(3), MODEL).result(10)
    assert len(engine.submit(make_image(3), MODEL).result(10).detections) == 1


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_run_that_would_end_its_thread_ends_only_its_job(engine, network, error):
    network.errors = [error]
    with pytest.raises(EngineError, match="failed unexpectedly"):
        engine.submit(make_image(1), MODEL).result(10)
    assert len(engine.submit(make_image(1), MODEL).result(10).detections) == 1
    assert engine.status().running == 0


def test_a_thread_that_cannot_be_started_is_told_and_the_next_one_serves(loader, monkeypatch):
    engine = LocalEngine(loader=loader)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: (_ for _ in ()).throw(RuntimeError("can't start new thread")))
        with pytest.raises(EngineError, match="failed unexpectedly"):
            engine.submit(make_image(1), MODEL)
    assert engine.status().waiting == 0
    assert len(engine.submit(make_image(1), MODEL).result(10).detections) == 1
    engine.close()


def test_tells_what_it_has_to_do(engine, loader, network):
    assert (engine.status().waiting, engine.status().running, engine.status().models) == (0, 0, ())
    network.go.clear()
    jobs = [engine.submit(make_image(shade), MODEL) for shade in range(3)]
    assert network.started.wait(10)
    status = engine.status()
    assert (status.waiting, status.running) == (2, 1)
    network.go.set()
    for job in jobs:
        job.result(10)
    assert engine.status().waiting == 0
    assert [model.key for model in engine.status().models] == [MODEL.key]


def test_a_closed_engine_refuses_at_once(engine):
    engine.close()
    with pytest.raises(EngineError, match="shutting down"):
        engine.submit(make_image(1), MODEL)


def wait_for(job: Any, stage: Stage) -> None:
    """Waits until a job is at a stage; the test fails after ten seconds."""
    state = job.state
    for _ in range(1000):
        if state.stage is stage:
            return
        state = job.wait_for_change(state, 0.01)
    raise AssertionError(f"still at {state}")


def test_measuring_runs_again_and_gives_the_memory(engine, network):
    engine.submit(make_image(7), MODEL).result(10)
    measured = engine.submit(make_image(7), MODEL, measure=True).result(10)
    assert network.seen == [7, 7]
    assert (measured.kept, measured.first_run) == (False, False)
    # A network without weights takes next to nothing, and some systems do not report it.
    assert (measured.memory is not None) == reports_a_peak()
    assert engine.submit(make_image(7), MODEL).result(10).memory is None


def test_frames_of_a_video_are_neither_kept_nor_taken_from_those_kept(engine, network):
    engine.submit(make_image(7), MODEL, keep=False).result(10)
    engine.submit(make_image(7), MODEL).result(10)
    assert not engine.submit(make_image(7), MODEL, keep=False).result(10).kept
    assert engine.submit(make_image(7), MODEL).result(10).kept
    assert network.seen == [7, 7, 7]


def test_gives_the_time_of_an_image_here(engine):
    assert engine.run_seconds() == {}
    engine.submit(make_image(1), MODEL).result(10)
    assert engine.run_seconds() == {}, "the first run is slower than the rest"
    assert engine.run_seconds(first=True).keys() == {MODEL.key}
    timings = [engine.submit(make_image(shade), MODEL).result(10).timings for shade in (2, 3, 4)]
    taken = sorted(one.network + one.post for one in timings)
    assert engine.run_seconds() == engine.run_seconds(first=True) == {MODEL.key: taken[1]}


def test_gives_the_number_of_others_that_are_served(engine, network):
    network.go.clear()
    for visitor in ("a", "a", "b"):
        engine.submit(make_image(ord(visitor)), MODEL, visitor=visitor)
    assert [engine.jobs_of_others(visitor) for visitor in ("a", "b", "c")] == [1, 2, 3]


def test_visitors_take_turns(engine, network):
    engine.submit(make_image(0), MODEL).result(10)
    network.go.clear()
    network.started.clear()
    first = engine.submit(make_image(10), MODEL, visitor="many")
    assert network.started.wait(10)
    jobs = [first, *(engine.submit(make_image(10 + number), MODEL, visitor="many") for number in (1, 2, 3))]
    wait_for(jobs[-1], Stage.QUEUE)
    jobs.append(engine.submit(make_image(20), MODEL, visitor="one"))
    wait_for(jobs[-1], Stage.QUEUE)
    # A detector on a cluster has the next image already.
    places, order = ([1, 2, 3, 0], [10, 20, 11]) if isinstance(engine, LocalEngine) else ([0, 2, 3, 1], [10, 11, 20])
    assert [job.state.done for job in jobs[1:]] == places
    network.go.set()
    for job in jobs:
        job.result(10)
    assert network.seen == [0, *order, 12, 13]


@pytest.fixture
def shared(loader: Loader, network: Network):
    """An engine of two cores that knows the model to be light."""
    engine = LocalEngine(loader=loader, cores=2)
    for shade in (201, 202):
        engine.submit(make_image(shade), MODEL).result(10)
    network.seen.clear()
    network.most_running = 0
    yield engine
    network.go.set()
    engine.close()


def hold(engine: LocalEngine, network: Network, model: ModelSpec, shades: list[int], **options: Any) -> list[Any]:
    """Submits images to a network that lets none go, until as many as possible are in it."""
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


def test_images_of_a_light_model_run_side_by_side(shared, network):
    jobs = hold(shared, network, MODEL, list(range(6)))
    # The first has all cores, because no other job was there.
    assert [job.state.stage for job in jobs] == [Stage.RUN] + 5 * [Stage.QUEUE]
    # From now on, nobody leaves the network before two have met in it.
    network.company = threading.Barrier(2)
    network.go.set()
    for job in jobs[1:5]:
        job.result(10)
    network.company.abort()
    assert network.most_running == 2


def test_a_heavy_model_has_the_device_for_itself(shared, network):
    jobs = hold(shared, network, MODEL, [1, 2, 3])
    jobs.append(shared.submit(make_image(4), OTHER))
    wait_for(jobs[-1], Stage.QUEUE)
    running: list[int] = []
    jobs[-1].future.add_done_callback(lambda _: running.append(network.running))
    network.go.set()
    for job in jobs:
        job.result(10)
    # A model of which nothing is known is taken to be heavy.
    assert running == [0]


def test_who_gives_up_at_the_head_of_the_line_lets_the_next_one_run(shared, network):
    jobs = hold(shared, network, MODEL, [1, 2])
    heavy = shared.submit(make_image(3), OTHER)
    wait_for(heavy, Stage.QUEUE)
    network.go.set()
    heavy.cancel()
    for job in jobs:
        job.result(10)
    assert shared.submit(make_image(4), MODEL).result(10).detections is not None


def test_a_spec_will_do_for_a_model_that_has_no_key_here(engine):
    spec = replace(MODEL, key="elsewhere.pt")
    assert engine.submit(make_image(1), spec).result(10).detections.model == "elsewhere.pt"


@pytest.fixture
def batching(loader: Loader, network: Network):
    """An engine that takes up to three images in a pass, as one on a GPU does."""
    engine = LocalEngine(loader=loader, cores=1, batch=3)
    yield engine
    network.go.set()
    engine.close()


def passes(engine: LocalEngine, network: Network, orders: list[tuple[LoadedImage, ModelSpec, dict[str, Any]]]) -> list[list[int]]:
    """The shades that went through the network together, of orders that waited in line."""
    hold(engine, network, MODEL, [99])
    jobs = [engine.submit(image, model, **how) for image, model, how in orders]
    for job in jobs:
        wait_for(job, Stage.QUEUE)
    network.go.set()
    for job in jobs:
        assert len(job.result(10).detections) == 1
    return network.passes[1:]


LARGE = read_image(np.full((40, 30, 3), 7, np.uint8))


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([(make_image(shade), MODEL, {}) for shade in range(4)], [[0, 1, 2], [3]]),
        ([(make_image(0), MODEL, {}), (make_image(0), MODEL, {}), (make_image(1), MODEL, {})], [[0], [1]]),
        ([(make_image(0), MODEL, {"keep": False}), (make_image(0), MODEL, {"keep": False})], [[0, 0]]),
        ([(make_image(0), MODEL, {}), (LARGE, MODEL, {}), (make_image(1), MODEL, {})], [[0], [7], [1]]),
        ([(make_image(0), MODEL, {"measure": True}), (make_image(1), MODEL, {})], [[0], [1]]),
        ([(make_image(0), MODEL, {}), (make_image(1), MODEL, {"measure": True})], [[0], [1]]),
    ],
    ids=["at most three", "one image twice", "frames twice", "another size", "measured first", "measured next"],
)
def test_images_next_to_each_other_share_a_pass(batching, network, orders, expected):
    assert passes(batching, network, orders) == expected


def test_a_pass_of_several_that_fails_is_done_one_by_one(batching, network):
    network.most_together = 1
    assert passes(batching, network, [(make_image(shade), MODEL, {}) for shade in range(3)]) == [[0, 1, 2], [0], [1], [2]]


def test_only_what_is_wanted_is_computed(engine, monkeypatch):
    asked = []

    def run(module, spec, images, device, *, tasks):
        asked.append(tasks)
        return detector.run(module, spec, images, device, tasks=tasks)

    monkeypatch.setattr("detection_core.engine.passes.run", run)
    everything = engine.submit(make_image(1), MASKS).result(10)
    assert engine.submit(make_image(1), MASKS, tasks=["boxes", "masks"]).result(10).detections is everything.detections
    assert not engine.submit(make_image(1), MASKS, tasks=["keypoints"]).result(10).kept, "a result without masks is another one"
    assert asked == [{"boxes", "masks"}, {"boxes"}]


def what_it_got(module: nn.Module, spec: ModelSpec, pixels: Any) -> tuple[nn.Module, ModelSpec, int]:
    return module, spec, int(pixels[0, 0, 0])


def test_a_call_waits_in_line_and_gets_the_module(engine, network):
    network.go.clear()
    running = [engine.submit(make_image(shade), MODEL) for shade in (1, 2)]
    assert network.started.wait(10)
    call = engine.call(what_it_got, make_image(7), OTHER, visitor="ann")
    wait_for(call, Stage.QUEUE)
    again = engine.call(what_it_got, make_image(7), OTHER, visitor="bob")
    engine.cancel_visitor("bob")
    network.go.set()
    assert call.result(10) == (network, OTHER, 7)
    assert again.cancelled
    for job in running:
        job.result(10)
    # What it returned is no result of detection, and says nothing about how long one takes.
    assert OTHER.key not in engine.run_seconds()
    assert not engine.submit(make_image(7), OTHER).result(10).kept


@dataclass
class Fails:
    error: Exception

    def __call__(self, *_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [(EngineError("Too large."), "Too large"), (ValueError("secret"), "failed unexpectedly")],
    ids=["readable", "defect"],
)
def test_an_error_in_a_call_is_its_jobs_error(engine, error, message):
    with pytest.raises(EngineError, match=message):
        engine.call(Fails(error), make_image(1), MODEL).result(10)
    assert engine.status().running == 0
