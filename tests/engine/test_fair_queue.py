"""Who is next, by a simulated device: no clock, no threads."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.engine.fair_queue import FairQueue


def drained(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_first_come_first_served_between_visitors_with_one_job():
    queue: FairQueue[str] = FairQueue()
    for visitor in "abc":
        queue.put(visitor, visitor, 1)
    assert list(queue) == ["a", "b", "c"]
    assert drained(queue) == ["a", "b", "c"]


def test_jobs_without_a_visitor_wait_like_all_others():
    queue: FairQueue[str] = FairQueue()
    for name in ("first", "second", "third"):
        queue.put(name, "", 5)
    assert drained(queue) == ["first", "second", "third"]


def test_one_image_comes_before_the_second_of_a_visitor_with_ten():
    queue: FairQueue[str] = FairQueue()
    for number in range(10):
        queue.put(f"many {number}", "many", 1)
    queue.put("one", "one", 1)
    assert drained(queue)[:3] == ["many 0", "one", "many 1"]


def test_a_heavy_job_is_followed_by_as_many_light_ones_as_take_its_time():
    queue: FairQueue[str] = FairQueue()
    for number in range(3):
        queue.put(f"heavy {number}", "heavy", 4)
    for number in range(8):
        queue.put(f"light {number}", "light", 1)
    served = drained(queue)
    assert [served.index(f"heavy {number}") for number in range(3)] == [0, 5, 10]


def simulate(costs: dict[str, float], in_flight: int, seconds: float) -> Counter[str]:
    """Device time by visitor, each of whom sends the next job when one of theirs is done, for so long."""
    queue: FairQueue[str] = FairQueue()
    for visitor, cost in costs.items():
        for _ in range(in_flight):
            queue.put(visitor, visitor, cost)
    used: Counter[str] = Counter()
    while used.total() < seconds:
        visitor = queue.pop()
        used[visitor] += costs[visitor]  # type: ignore[assignment]
        queue.put(visitor, visitor, costs[visitor])
    return used


@given(st.lists(st.floats(0.01, 3), min_size=2, max_size=6), st.integers(1, 4))
def test_streams_share_the_device_however_heavy_their_models_are(costs: list[float], in_flight: int):
    named = {str(place): cost for place, cost in enumerate(costs)}
    used = simulate(named, in_flight, 300)
    # The bound that Goyal, Vin and Cheng prove for visitors who always have a job in line.
    for one, other in itertools.combinations(named, 2):
        assert abs(used[one] - used[other]) <= named[one] + named[other] + 1e-6


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=5))
def test_a_stream_never_starves_an_image(costs: list[float]):
    queue: FairQueue[str] = FairQueue()
    for place, cost in enumerate(costs):
        queue.put(f"stream {place}", f"stream {place}", cost)
    # The streams go on all the time; a newcomer waits for one turn of each at most.
    for _ in range(50):
        visitor = queue.pop()
        queue.put(visitor, visitor, costs[int(visitor.split()[1])])
    queue.put("image", "newcomer", 1)
    before = list(queue).index("image")
    assert before <= len(costs)
    waited = 0
    while (visitor := queue.pop()) != "image":
        waited += 1
        queue.put(visitor, visitor, costs[int(visitor.split()[1])])
    assert waited <= len(costs)


def test_turns_cannot_be_saved_up():
    queue: FairQueue[str] = FairQueue()
    queue.put("away", "away", 1)
    assert queue.pop() == "away"
    for number in range(20):
        queue.put(f"busy {number}", "busy", 1)
        queue.pop()
    for number in range(3):
        queue.put(f"away {number}", "away", 1)
    for number in range(3):
        queue.put(f"busy {number}", "busy", 1)
    assert drained(queue) == ["away 0", "away 1", "busy 0", "away 2", "busy 1", "busy 2"]


def test_what_is_cancelled_leaves_the_line():
    queue: FairQueue[str] = FairQueue()
    items = ["a", "b", "c"]
    for item in items:
        queue.put(item, item, 1)
    queue.discard(lambda item: item == "b")
    queue.discard(lambda item: item == "unknown")
    assert drained(queue) == ["a", "c"]
    with pytest.raises(IndexError):
        queue.pop()


@pytest.mark.parametrize("cost", [0, -1, float("nan")])
def test_a_job_costs_something(cost: float):
    with pytest.raises(ValueError, match="more than 0"):
        FairQueue[str]().put("a", "a", cost)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.floats(0.1, 10), st.booleans())), st.sampled_from(["", "a", "b", "c"]))
def test_leads_says_whether_a_job_added_now_would_be_next(jobs: list[tuple[str, float, bool]], visitor: str):
    queue: FairQueue[str] = FairQueue()
    for name, cost, served in jobs:
        queue.put(name, name, cost)
        if served:
            queue.pop()
    leads, begins = queue.leads(visitor), queue.begins(visitor)
    queue.put("now", visitor, 1)
    assert leads == (queue.peek() == "now")
    while queue.pop() != "now":
        pass
    assert queue.begins("nobody yet") == begins, "the clock is at the job that was taken last"
