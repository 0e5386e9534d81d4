"""Both engines accept images, load models beside the runs, and give results, errors and their state."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from detection_core.engine import Cancelled, EngineBusyError, EngineError, LocalEngine, Stage, VisitorBusyError
from detection_core.models import detector
from detection_core.models.catalog import ModelSpec
from detection_core.models.weights import WeightsError
from tests.engine.fakes import MASKS, MODEL, OTHER, make_image, wait_for
from tests.machine import reports_a_peak


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
    # Now there is no other model left to drop.
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


def test_a_spec_will_do_for_a_model_that_has_no_key_here(engine):
    spec = replace(MODEL, key="elsewhere.pt")
    assert engine.submit(make_image(1), spec).result(10).detections.model == "elsewhere.pt"


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
