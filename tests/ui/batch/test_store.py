"""What the server keeps of many images, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.engine import Job
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.batch.store import Batch, BatchExpiredError, BatchFullError, BatchImage, BatchStore, RunningImage
from tests.factories import make_detections

SPEC = get_model_spec(PERSON_MODEL)
# Three objects: boxes 48, labels 24, scores 12 bytes.
BYTES = 84


def make_image(name: str = "a.png") -> BatchImage:
    return BatchImage(Path("/cache/a.png"), name, make_detections(3))


def test_a_batch_is_found_by_its_name_only():
    store = BatchStore()
    batch = store.begin("visitor", SPEC)
    assert store.find(batch.token) is batch
    with pytest.raises(BatchExpiredError, match="Press Detect"):
        store.find("guessed")


def test_the_same_model_goes_on_and_another_begins_anew():
    store = BatchStore()
    batch = store.begin("visitor", SPEC)
    store.keep(batch, "1", make_image())
    assert store.begin("visitor", SPEC, batch.token) is batch
    other = store.begin("visitor", get_model_spec("ssd300_vgg16"), batch.token)
    assert other.images == {}
    with pytest.raises(BatchExpiredError):
        store.find(batch.token)


def test_a_batch_is_continued_only_by_its_visitor():
    store = BatchStore()
    batch = store.begin("visitor", SPEC)
    assert store.begin("another", SPEC, batch.token) is not batch
    assert store.find(batch.token) is batch


def test_the_batch_not_used_for_longest_makes_room():
    store = BatchStore(max_bytes=2 * BYTES)
    first, second = store.begin("first", SPEC), store.begin("second", SPEC)
    store.keep(second, "1", make_image())
    store.keep(first, "1", make_image())
    third = store.begin("third", SPEC)
    store.keep(third, "1", make_image())
    assert store.find(first.token).images.keys() == {"1"}
    with pytest.raises(BatchExpiredError):
        store.find(second.token)


def test_a_batch_that_is_too_large_alone_says_so_and_stays():
    store = BatchStore(max_bytes=2 * BYTES)
    batch = store.begin("visitor", SPEC)
    for key in "12":
        store.keep(batch, key, make_image())
    with pytest.raises(BatchFullError, match="no room"):
        store.keep(batch, "3", make_image())
    # In place of an earlier result there is room, and where one was dropped.
    store.keep(batch, "2", make_image("b.png"))
    store.forget(batch, ["1", "unknown"])
    store.keep(batch, "3", make_image())
    assert batch.images.keys() == {"2", "3"}


def test_a_visitor_who_leaves_leaves_nothing():
    store = BatchStore()
    batch, other = store.begin("visitor", SPEC), store.begin("another", SPEC)
    job = Job(SPEC)
    batch.running["1"] = RunningImage(Path("a.png"), "a.png", job)
    store.leave("visitor")
    assert job.cancelled
    assert store.find(other.token) is other
    with pytest.raises(BatchExpiredError):
        store.keep(batch, "1", make_image())


def test_removing_an_image_cancels_its_job():
    store = BatchStore()
    batch = store.begin("visitor", SPEC)
    jobs = {key: Job(SPEC) for key in "12"}
    batch.running |= {key: RunningImage(Path("a.png"), "a.png", job) for key, job in jobs.items()}
    store.forget(batch, ["1"])
    assert [job.cancelled for job in jobs.values()] == [True, False]
    assert batch.running.keys() == {"2"}


def test_empty_batches_do_not_pile_up():
    store = BatchStore(capacity=2)
    first, second, third = (store.begin("visitor", SPEC) for _ in range(3))
    assert [store.find(batch.token) for batch in (second, third)] == [second, third]
    with pytest.raises(BatchExpiredError):
        store.find(first.token)


def test_cancelling_keeps_results():
    batch = Batch("visitor", SPEC)
    batch.images["1"] = make_image()
    batch.running["2"] = RunningImage(Path("b.png"), "b.png")
    batch.cancel()
    assert (batch.images.keys(), batch.running) == ({"1"}, {})
