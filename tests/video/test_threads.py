from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from detection_core.video.threads import BackgroundWorker, ordered_map, prefetch


@pytest.fixture(autouse=True)
def all_threads_end():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_what_is_made_ahead_comes_in_order_and_not_all_at_once():
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with closing(prefetch(numbers(), 2)) as items:
        assert next(items) == 0
        assert len(made) <= 4  # Taken, two waiting, one in progress.
        assert list(items) == list(range(1, 10))


def test_an_error_ahead_comes_after_what_was_made():
    def numbers() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    items = prefetch(numbers(), 2)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_prefetching_ends_when_no_more_is_wanted():
    def numbers() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    with closing(prefetch(numbers(), 1)) as items:
        assert next(items) == 0


def test_all_are_handled_behind_in_order_and_in_one_other_thread():
    handled = []
    with BackgroundWorker(lambda item: handled.append((item, threading.get_ident())), 2) as behind:
        for number in range(10):
            behind.put(number)
    assert [item for item, _ in handled] == list(range(10))
    assert len({thread for _, thread in handled}) == 1
    assert handled[0][1] != threading.get_ident()


def refuse(item: int) -> None:
    raise KeyError("refused")


def test_an_error_behind_comes_out_of_put():
    handled_after = []

    def give_all() -> None:
        with BackgroundWorker(refuse, 1) as behind:
            for number in range(1000):
                behind.put(number)
            handled_after.append("all were taken")

    with pytest.raises(KeyError, match="refused"):
        give_all()
    assert handled_after == []


def test_an_error_behind_comes_out_at_the_end():
    with pytest.raises(KeyError, match="refused"), BackgroundWorker(refuse, 1) as behind:
        behind.put(1)


def test_an_error_in_front_lets_those_before_be_handled():
    handled: list[int] = []

    def give_two() -> None:
        with BackgroundWorker(handled.append, 5) as behind:
            behind.put(1)
            behind.put(2)
            raise ValueError("in front")

    with pytest.raises(ValueError, match="in front"):
        give_two()
    assert handled == [1, 2]


def test_results_come_in_the_order_of_the_items():
    pairs = list(ordered_map(lambda number: time.sleep(0.02 * (number % 2 == 0)) or number**2, range(9), 3))
    assert pairs == [(number, number**2) for number in range(9)]


def test_as_many_as_allowed_are_worked_on_at_a_time():
    company = threading.Barrier(3)

    def work(number: int) -> int:
        # No thread continues before three have met.
        company.wait(10)
        return number

    assert [made for _, made in ordered_map(work, range(6), 3)] == list(range(6))


@pytest.mark.parametrize("max_in_flight", [1, 3])
def test_what_comes_before_an_error_is_given(max_in_flight):
    def items():
        yield from range(4)
        raise ValueError("the tail is broken")

    assert _until_error(ordered_map(str, items(), max_in_flight)) == [(number, str(number)) for number in range(4)]


@pytest.mark.parametrize("max_in_flight", [1, 3])
def test_an_error_in_the_work_comes_after_all_before_it(max_in_flight):
    pairs = _until_error(ordered_map(lambda number: 6 // (number - 2), range(9), max_in_flight))
    assert pairs == [(0, -3), (1, -6)]


def test_leaving_early_works_on_no_more_than_was_begun():
    seen: list[int] = []
    with closing(ordered_map(seen.append, range(9), 3)) as pairs:
        next(pairs)
    assert len(seen) <= 3


def _until_error(pairs):
    """What an iterator gives before it fails, which it must."""
    given = []
    try:
        for pair in pairs:
            given.append(pair)
    except (ValueError, ZeroDivisionError):
        return given
    raise AssertionError("no error came")
