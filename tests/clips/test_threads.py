from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from detection_core.clips.threads import Behind, ahead


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

    with closing(ahead(numbers(), 2)) as items:
        assert next(items) == 0
        assert len(made) <= 4  # Taken, two waiting, one in hand.
        assert list(items) == list(range(1, 10))


def test_an_error_ahead_comes_after_what_was_made():
    def numbers() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    items = ahead(numbers(), 2)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_who_makes_ahead_is_ended_when_nobody_wants_more():
    def numbers() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    with closing(ahead(numbers(), 1)) as items:
        assert next(items) == 0


def test_all_are_handled_behind_in_order_and_in_one_other_thread():
    handled = []
    with Behind(lambda item: handled.append((item, threading.get_ident())), 2) as behind:
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
        with Behind(refuse, 1) as behind:
            for number in range(1000):
                behind.put(number)
            handled_after.append("all were taken")

    with pytest.raises(KeyError, match="refused"):
        give_all()
    assert handled_after == []


def test_an_error_behind_comes_out_at_the_end():
    with pytest.raises(KeyError, match="refused"), Behind(refuse, 1) as behind:
        behind.put(1)


def test_an_error_in_front_lets_those_before_be_handled():
    handled: list[int] = []

    def give_two() -> None:
        with Behind(handled.append, 5) as behind:
            behind.put(1)
            behind.put(2)
            raise ValueError("in front")

    with pytest.raises(ValueError, match="in front"):
        give_two()
    assert handled == [1, 2]
