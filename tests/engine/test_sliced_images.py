"""Tests that an engine runs a model with slices tile by tile: shared passes, progress, turns, cancellation and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.engine import Cancelled, Job, LocalEngine, Stage, passes
from detection_core.engine.passes import QueuedJob
from detection_core.engine.result_cache import Request
from detection_core.engine.run_times import RunTimes
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Timings
from detection_core.slicing import TooManySlicesError, tile_grid
from tests.engine.fakes import Loader, Network, hold, wait_for

MODEL = "ssdlite320_mobilenet_v3_large"
SLICED, WHOLE = get_model_spec(f"{MODEL}@slices128"), get_model_spec(MODEL)
FRAME, MEASURED = {"keep": False}, {"measure": True}
# Tiles of 128 pixels: 3 columns and 2 rows.
SIZE = (200, 300)


def make_image(first: int = 0, size: tuple[int, int] = SIZE) -> LoadedImage:
    """An image whose upper left pixels in its tiles count up from the first number, which is the whole image's as well."""
    pixels = np.full((*size, 3), first, np.uint8)
    for number, tile in enumerate(tile_grid(size, 128), first):
        pixels[tile.y0, tile.x0] = number
    return read_image(pixels)


def test_runs_on_the_whole_image_and_in_every_tile(engine, network: Network):
    result = engine.submit(make_image(), SLICED).result(10)
    assert network.seen == [0, 0, 1, 2, 3, 4, 5]
    # The network finds one object at (1, 2) of whatever it sees; those of the whole image and of the first tile are the same.
    corners = sorted((tile.x0 + 1, tile.y0 + 2) for tile in tile_grid(SIZE, 128))
    assert sorted(map(tuple, result.detections.boxes[:, :2].tolist())) == corners
    assert result.detections.model == SLICED.key
    assert result.detections.image_size == SIZE
    assert sorted(result.detections.whole_scores.tolist()) == [0] * 5 + [np.float32(0.9)]
    assert result.spec is SLICED
    assert result.first_run
    assert result.timings.network > 0


def test_the_result_is_kept_under_its_own_key(engine, network: Network):
    first = engine.submit(make_image(), SLICED).result(10)
    assert engine.submit(make_image(), SLICED).result(10).detections is first.detections
    assert engine.submit(make_image(), WHOLE).result(10).detections.whole_scores is None
    assert len(network.seen) == 8


def test_the_weights_are_those_of_the_model_on_whole_images(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1)
    try:
        engine.submit(make_image(), SLICED).result(10)
        engine.submit(make_image(), WHOLE).result(10)
        assert loader.loads.total() == 1
        assert set(engine.run_seconds()) == {MODEL}
        engine.submit(make_image(), SLICED, keep=False).result(10)
        assert set(engine.run_seconds()) == {MODEL, SLICED.key}
    finally:
        engine.close()


def test_others_have_their_turn_between_tiles(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1)
    network.go.clear()
    try:
        sliced = engine.submit(make_image(), SLICED, visitor="a")
        assert network.started.wait(10)
        assert (sliced.state.stage, sliced.state.done, sliced.state.total) == (Stage.RUN, 0, 7)
        other = engine.submit(read_image(np.full((20, 30, 3), 99, np.uint8)), WHOLE, visitor="b")
        network.go.set()
        sliced.result(10)
        assert other.result(10).detections.image_size == (20, 30)
        assert network.seen.index(99) < 3
    finally:
        network.go.set()
        engine.close()


def test_progress_counts_tiles(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1)
    states = []
    try:
        network.go.clear()
        job = engine.submit(make_image(), SLICED)
        update = job.update
        job.update = lambda state: (states.append(state), update(state))
        network.go.set()
        job.result(10)
    finally:
        network.go.set()
        engine.close()
    done = [state.done for state in states if state.stage is Stage.RUN]
    assert done == sorted(done)
    assert set(done) >= {1, 2, 3, 4, 5, 6}


def test_cancelling_ends_it_between_tiles(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1)
    network.go.clear()
    try:
        job = engine.submit(make_image(), SLICED)
        assert network.started.wait(10)
        job.cancel()
        network.go.set()
        with pytest.raises(Cancelled):
            job.result(10)
        engine.submit(read_image(np.full((20, 30, 3), 99, np.uint8)), WHOLE).result(10)
        assert network.seen == [0, 99]
        assert engine.status().running == 0
    finally:
        network.go.set()
        engine.close()


def test_too_many_slices_are_refused(engine, network: Network):
    job = engine.submit(read_image(np.zeros((4000, 5000, 3), np.uint8)), SLICED)
    with pytest.raises(TooManySlicesError, match="Choose larger slices"):
        job.result(10)
    assert network.seen == []


def test_an_error_in_a_tile_is_the_jobs(engine, network: Network):
    network.errors = [RuntimeError("no")]
    with pytest.raises(Exception, match="failed unexpectedly"):
        engine.submit(make_image(), SLICED).result(10)
    engine.submit(make_image(), SLICED).result(10)


@pytest.fixture
def equal_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tiles and images cost the same, however long they take."""
    monkeypatch.setattr(RunTimes, "cost", lambda *_: 1.0)


def run_together(engine: LocalEngine, network: Network, *orders: tuple[LoadedImage, Any, str]) -> list[list[int]]:
    """Lets images wait in line for visitors, and then through; returns what went through the network together."""
    hold(engine, network, WHOLE, [255])
    jobs = [engine.submit(image, spec, visitor=visitor) for image, spec, visitor in orders]
    for job in jobs:
        wait_for(job, Stage.QUEUE)
    network.go.set()
    for job, (image, spec, _) in zip(jobs, orders, strict=True):
        found = job.result(10).detections
        assert (found.model, found.image_size) == (spec.key, image.image.size[::-1])
    return network.passes[1:]


# Of the size of a tile: the whole image is all that there is to see.
SMALL = make_image(50, (128, 128))


@pytest.mark.usefixtures("equal_costs")
@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([(make_image(), SLICED, "a")], [[0], [0, 1, 2], [3, 4, 5]]),
        ([(make_image(), SLICED, "a"), (make_image(), WHOLE, "a")], [[0], [0], [0, 1, 2], [3, 4, 5]]),
        (
            [(make_image(), SLICED, "a"), (make_image(100), SLICED, "b")],
            [[0, 100], [0, 100, 1], [101, 2, 102], [3, 103, 4], [104, 5, 105]],
        ),
        ([(make_image(), SLICED, ""), (make_image(100), SLICED, "")], [[0, 100], [0, 100, 1], [101, 2, 102], [3, 103, 4], [104, 5, 105]]),
        ([(SMALL, SLICED, "a"), (make_image(), SLICED, "b")], [[50], [0], [0, 1, 2], [3, 4, 5]]),
        ([(make_image(), SLICED, "a"), (SMALL, SLICED, "a"), (SMALL, WHOLE, "b")], [[0], [50], [50, 0, 1], [2, 3, 4], [5]]),
    ],
    ids=["of one image", "whole and in slices", "of two visitors", "of visitors without a name", "small first", "small among tiles"],
)
def test_tiles_next_to_each_other_share_a_pass(batching, network: Network, orders, expected):
    assert run_together(batching, network, *orders) == expected


@pytest.mark.usefixtures("equal_costs")
def test_who_takes_turns_with_a_sliced_image_waits_for_no_more_than_a_pass(batching, network: Network):
    frames = [(make_image(200 + number, (20, 30)), WHOLE, "b") for number in range(4)]
    together = run_together(batching, network, (make_image(), SLICED, "a"), *frames)
    # Between one tile of the one visitor and one image of the other there is nothing to share.
    assert together == [[0], [200, 201], [0], [202], [1], [203], [2, 3, 4], [5]]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("model", [PERSON_MODEL, COCO_MODEL])
def test_results_do_not_depend_on_how_many_share_a_pass(model: str):
    image, spec = read_image(ASSETS / "examples" / "astronaut.jpg"), get_model_spec(f"{model}@slices320")
    found = []
    for batch in (1, 8):
        engine = LocalEngine(cores=1, batch=batch)
        found.append(engine.submit(image, spec).result(60).detections)
        engine.close()
    assert len(found[0]) > 0
    assert found[0].labels.tolist() == found[1].labels.tolist()
    for name in ("boxes", "scores", "masks", "keypoints", "keypoint_scores", "whole_scores"):
        ours, theirs = (getattr(each, name) for each in found)
        assert (ours is None) == (theirs is None)
        # Sums of another order differ in their last digits.
        assert ours is None or np.allclose(ours, theirs, rtol=1e-4, atol=1e-4, equal_nan=True), name


def test_tiles_that_fail_together_run_one_by_one(batching, network: Network):
    network.most_together = 1
    together = run_together(batching, network, (make_image(), SLICED, "a"))
    assert together == [[0], [0, 1, 2], [0], [1], [2], [3, 4, 5], [3], [4], [5]]


def test_an_error_in_a_shared_pass_is_one_images_only(batching, network: Network):
    hold(batching, network, WHOLE, [255])
    one, other = (batching.submit(make_image(first), SLICED, visitor=str(first)) for first in (0, 100))
    for job in (one, other):
        wait_for(job, Stage.QUEUE)
    # Of the image before, of both whole images together, and of the first of them by itself.
    network.errors = [RuntimeError("no") for _ in range(3)]
    network.go.set()
    with pytest.raises(Exception, match="failed unexpectedly"):
        one.result(10)
    assert len(other.result(10).detections) == 6
    assert batching.status().running == batching.status().waiting == 0


def test_the_time_of_a_shared_pass_counts_once(batching, monkeypatch: pytest.MonkeyPatch):
    seconds = iter([1, 10, 100])

    def run(module: Any, spec: Any, images: list[Any], device: Any, *, tasks: Any) -> Any:
        return [Detections.empty(image.shape[:2], spec.categories) for image in images], Timings(network=next(seconds))

    monkeypatch.setattr(passes, "run", run)
    assert batching.submit(make_image(), SLICED).result(10).timings.network == 111


@pytest.mark.usefixtures("equal_costs")
def test_cancelling_ends_it_between_shared_passes(batching, network: Network):
    hold(batching, network, WHOLE, [255])
    jobs = [batching.submit(make_image(first), SLICED, visitor=str(first)) for first in (0, 100)]
    for job in jobs:
        wait_for(job, Stage.QUEUE)
    forward = network.forward

    def cancel_in_the_third_pass(images: list[Any]) -> Any:
        if len(network.passes) == 3:
            jobs[0].cancel()
        return forward(images)

    network.forward = cancel_in_the_third_pass
    network.go.set()
    assert len(jobs[1].result(10).detections) == 6
    with pytest.raises(Cancelled):
        jobs[0].result(10)
    assert network.passes[1:] == [[0, 100], [0, 100, 1], [101, 2, 102], [103, 104, 105]]


def test_the_same_image_for_two_visitors_runs_once(engine, network: Network):
    network.go.clear()
    jobs = [engine.submit(make_image(), SLICED, visitor=visitor) for visitor in "abc"]
    assert network.started.wait(10)
    network.go.set()
    found = [job.result(10).detections for job in jobs]
    assert len(network.seen) == 7
    assert [len(each) for each in found] == [6, 6, 6]


def test_turns_of_both_visitors_bring_the_same_image_further(batching, network: Network):
    image, same = make_image(), make_image()
    assert run_together(batching, network, (image, SLICED, "a"), (same, SLICED, "b")) == [[0], [0, 1, 2], [3, 4, 5]]


def test_who_waits_for_the_same_image_goes_on_when_the_first_leaves(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1)
    network.go.clear()
    try:
        first = engine.submit(make_image(), SLICED, visitor="a")
        assert network.started.wait(10)
        second = engine.submit(make_image(), SLICED, visitor="b")
        wait_for(second, Stage.QUEUE)
        first.cancel()
        network.go.set()
        assert len(second.result(10).detections) == 6
        assert network.seen == [0, 0, 1, 2, 3, 4, 5]
    finally:
        network.go.set()
        engine.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [({}, {}, True), (FRAME, {}, False), ({}, FRAME, False), (MEASURED, {}, False), ({}, MEASURED, False)],
)
def test_only_what_may_be_shared_answers_others(network: Network, one: dict[str, Any], other: dict[str, Any], same: bool):
    requests = [Request(make_image(), SLICED, **{"measure": False, "keep": True, "tasks": frozenset()} | how) for how in (one, other)]
    assert QueuedJob(Job(SLICED), requests[0], network, 0, 0).asks_for_same(requests[1]) == same


def test_frames_run_for_each(engine, network: Network):
    network.go.clear()
    jobs = [engine.submit(make_image(), SLICED, visitor=visitor, keep=False) for visitor in "ab"]
    network.go.set()
    for job in jobs:
        assert len(job.result(10).detections) == 6
    assert len(network.seen) == 14


def test_the_same_image_runs_once_where_no_result_is_kept(loader: Loader, network: Network):
    engine = LocalEngine(loader=loader, cores=1, kept_results=0)
    network.go.clear()
    try:
        jobs = [engine.submit(make_image(), SLICED, visitor=visitor) for visitor in "ab"]
        assert network.started.wait(10)
        wait_for(jobs[1], Stage.QUEUE)
        network.go.set()
        assert [len(job.result(10).detections) for job in jobs] == [6, 6]
        assert len(network.seen) == 7
    finally:
        network.go.set()
        engine.close()
