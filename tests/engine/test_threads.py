"""How many threads a model gets, by runs whose times the test makes up."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from detection_core.engine.threads import ThreadChooser


def chosen(chooser: ThreadChooser, seconds: dict[int, float], runs: int) -> Counter[int]:
    """With how many threads the next runs go, if these numbers of threads take so long."""
    counted: Counter[int] = Counter()
    for _ in range(runs):
        threads = chooser.choose()
        counted[threads] += 1
        chooser.ran(threads, seconds[threads])
    return counted


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.09, 2: 0.06}, 2), ({1: 0.11, 2: 0.19}, 1)], ids=["free cores", "a busy neighbour"])
def test_the_faster_number_is_used_nearly_always(seconds: dict[int, float], best: int):
    chooser = ThreadChooser(2)
    chosen(chooser, seconds, 30)
    counted = chosen(chooser, seconds, 120)
    assert counted[best] == 110


def test_it_begins_with_all_cores():
    assert chosen(ThreadChooser(8), {1: 0.1, 8: 0.2}, 5) == {8: 5}


def test_it_notices_when_a_neighbour_comes_and_goes():
    chooser = ThreadChooser(2)
    assert chosen(chooser, {1: 0.09, 2: 0.06}, 60)[2] > 50
    chosen(chooser, {1: 0.11, 2: 0.19}, 40)
    assert chosen(chooser, {1: 0.11, 2: 0.19}, 60)[1] > 50
    chosen(chooser, {1: 0.09, 2: 0.06}, 80)
    assert chosen(chooser, {1: 0.09, 2: 0.06}, 60)[2] > 50


def test_slow_models_always_get_all_cores():
    assert chosen(ThreadChooser(2), {1: 4.0, 2: 2.5}, 100) == {2: 100}


def test_one_core_leaves_no_choice():
    assert chosen(ThreadChooser(1), {1: 0.1}, 50) == {1: 50}


def test_a_function_is_steered():
    before = torch.get_num_threads()
    try:
        seen = []
        steered = ThreadChooser(3).steer(lambda text: seen.append(torch.get_num_threads()) or text.upper())
        assert [steered("a") for _ in range(6)] == ["A"] * 6
        assert set(seen) <= {1, 3}
        assert seen[0] == 3
    finally:
        torch.set_num_threads(before)
