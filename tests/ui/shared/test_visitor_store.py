"""What stores of visitors have in common: tokens, a limit, and what happens when visitors leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.ui.shared.session import KeptResult, ResultExpiredError
from detection_core.ui.shared.visitor_store import VisitorStore
from tests.factories import make_detections


def make_store(capacity: int = 10) -> VisitorStore[KeptResult]:
    return VisitorStore(ResultExpiredError, capacity)


def kept(name: str) -> KeptResult:
    return KeptResult(Path(name), make_detections(1))


def test_gives_back_what_it_keeps():
    store = make_store()
    result = kept("a.jpg")
    assert store.find(store.put(result)) is result


def test_a_later_result_takes_the_place_of_an_earlier_one():
    store = make_store(2)
    first, second = store.put(kept("a.jpg")), store.put(kept("b.jpg"))
    assert store.put(kept("c.jpg"), token=first) == first
    assert [store.find(name).image_path.name for name in (first, second)] == ["c.jpg", "b.jpg"]


def test_names_cannot_be_guessed():
    store = make_store()
    names = {store.put(kept("a.jpg")) for _ in range(100)}
    assert len(names) == 100
    assert min(len(name) for name in names) >= 20


def test_the_least_recently_used_goes_first():
    store = make_store(2)
    first, second = store.put(kept("a.jpg")), store.put(kept("b.jpg"))
    store.find(first)
    third = store.put(kept("c.jpg"))
    assert store.find(first).image_path.name == "a.jpg"
    assert store.find(third).image_path.name == "c.jpg"
    with pytest.raises(ResultExpiredError, match="Press the button"):
        store.find(second)


@pytest.mark.parametrize("token", [None, 3, "guessed", ["x"]], ids=str)
def test_tokens_are_not_trusted(token):
    store = make_store()
    assert store.get(token) is None
    with pytest.raises(ResultExpiredError):
        store.find(token)


class Recording(VisitorStore[str]):
    """Notes what it removes and whether to make room; keeps entries in capital letters whatever comes."""

    def __init__(self, capacity: int) -> None:
        super().__init__(ResultExpiredError, capacity)
        self.removed: list[tuple[str, bool]] = []

    def _may_be_evicted(self, entry: str) -> bool:
        return not entry.isupper()

    def _on_removed(self, entry: str, *, evicted: bool) -> None:
        self.removed.append((entry, evicted))


def test_what_a_visitor_leaves_behind_is_removed():
    store = Recording(10)
    store.put("a", visitor="ann")
    token = store.put("b", visitor="bob")
    store.put("c")
    store.leave("ann")
    store.remove(token)
    store.remove("unknown")
    assert store.removed == [("a", False), ("b", False)]
    assert len(store) == 1


def test_entries_in_use_are_not_evicted():
    store = Recording(2)
    for entry in ("BUSY", "idle", "idle too"):
        store.put(entry)
    assert store.removed == [("idle", True)]
    store.put("BUSY TOO")
    store.put("new")
    assert store.removed == [("idle", True), ("idle too", True)]
    assert len(store) == 3


def test_unused_entries_are_removed_after_their_time():
    now = [0.0]
    store: VisitorStore[str] = VisitorStore(ResultExpiredError, 10, lambda: now[0])
    old, used, replaced = store.put("old"), store.put("used"), store.put("replaced")
    now[0] = 50
    store.get(used)
    store.put("new", token=replaced)
    now[0] = 101
    store.remove_unused(100)
    assert [store.get(token) for token in (old, used, replaced)] == [None, "used", "new"]
