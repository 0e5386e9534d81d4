from __future__ import annotations

from detection_core.ui.shared.session import Turns


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
