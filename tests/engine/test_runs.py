"""Images run side by side or together in one pass, as their models and the device allow."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from detection_core.engine import LocalEngine, Stage
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import ModelSpec
from tests.engine.fakes import MODEL, OTHER, Loader, Network, hold, make_image, wait_for


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


def test_images_of_a_light_model_run_side_by_side(shared, network):
    jobs = hold(shared, network, MODEL, list(range(6)))
    # The first has all cores, because no other job was there.
    assert [job.state.stage for job in jobs] == [Stage.RUN] + 5 * [Stage.QUEUE]
    # From now on, no image leaves the network before two have met in it.
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


def test_a_cancelled_job_at_the_head_of_the_line_lets_the_next_one_run(shared, network):
    jobs = hold(shared, network, MODEL, [1, 2])
    heavy = shared.submit(make_image(3), OTHER)
    wait_for(heavy, Stage.QUEUE)
    network.go.set()
    heavy.cancel()
    for job in jobs:
        job.result(10)
    assert shared.submit(make_image(4), MODEL).result(10).detections is not None


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
