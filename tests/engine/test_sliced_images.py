"""Tests that an engine runs a model with slices tile by tile: progress, turns, cancellation and errors."""

from __future__ import annotations

import numpy as np
import pytest

from detection_core.engine import Cancelled, LocalEngine, Stage
from detection_core.images.reading import LoadedImage, read_image
from detection_core.models.catalog import get_model_spec
from detection_core.slicing import TooManySlicesError, tile_grid
from tests.engine.fakes import Loader, Network

MODEL = "ssdlite320_mobilenet_v3_large"
SLICED, WHOLE = get_model_spec(f"{MODEL}@slices128"), get_model_spec(MODEL)
# Tiles of 128 pixels: 3 columns and 2 rows.
SIZE = (200, 300)


def make_image() -> LoadedImage:
    """An image whose upper left pixels in its tiles are the tiles' numbers; the whole is the first."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    for number, tile in enumerate(tile_grid(SIZE, 128)):
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
