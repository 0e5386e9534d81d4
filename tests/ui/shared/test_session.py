from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.ui.shared.session import KeptResult, ResultExpiredError, ResultStore, Turns
from tests.factories import make_detections


def kept(name: str) -> KeptResult:
    return KeptResult(Path(name), make_detections(1))


def test_gives_back_what_it_keeps():
    store = ResultStore()
    result = kept("a.jpg")
    assert store.get(store.put(result)) is result


def test_a_later_result_takes_the_place_of_an_earlier_one():
    store = ResultStore(capacity=2)
    first, second = store.put(kept("a.jpg")), store.put(kept("b.jpg"))
    assert store.put(kept("c.jpg"), first) == first
    assert [store.get(name).image_path.name for name in (first, second)] == ["c.jpg", "b.jpg"]


def test_names_cannot_be_guessed():
    store = ResultStore()
    names = {store.put(kept("a.jpg")) for _ in range(100)}
    assert len(names) == 100
    assert min(len(name) for name in names) >= 20


def test_the_least_recently_used_goes_first():
    store = ResultStore(capacity=2)
    first, second = store.put(kept("a.jpg")), store.put(kept("b.jpg"))
    store.get(first)
    third = store.put(kept("c.jpg"))
    assert store.get(first).image_path.name == "a.jpg"
    assert store.get(third).image_path.name == "c.jpg"
    with pytest.raises(ResultExpiredError, match="Press the button"):
        store.get(second)


def test_a_new_turn_ends_the_visitors_earlier_one():
    turns = Turns()
    first, other = turns.begin("a"), turns.begin("b")
    assert turns.is_current("a", first)
    second = turns.begin("a")
    assert not turns.is_current("a", first)
    assert turns.is_current("a", second)
    assert turns.is_current("b", other)


def test_visitors_not_heard_of_for_long_are_forgotten():
    turns = Turns(capacity=2)
    first = turns.begin("a")
    turns.begin("b")
    turns.begin("c")
    assert not turns.is_current("a", first)
