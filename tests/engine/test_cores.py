"""Which cores and how many threads a model gets, by runs whose times the test makes up."""

from __future__ import annotations

from collections import Counter

import pytest

from detection_core.engine.cores import CoreAllocation, Cores, ThreadChooser


def chosen(chooser: ThreadChooser, seconds: dict[int, float], runs: int) -> Counter[int]:
    """With how many threads the next runs go, if these numbers of threads take so long."""
    counted: Counter[int] = Counter()
    for _ in range(runs):
        threads = chooser.choose()
        counted[threads] += 1
        chooser.record(threads, seconds[threads])
    return counted


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.09, 2: 0.06}, 2), ({1: 0.11, 2: 0.19}, 1)], ids=["free cores", "a busy neighbor"])
def test_the_faster_number_is_used_nearly_always(seconds: dict[int, float], best: int):
    chooser = ThreadChooser(2)
    chosen(chooser, seconds, 30)
    counted = chosen(chooser, seconds, 120)
    assert counted[best] == 110


def test_it_begins_with_all_cores():
    assert chosen(ThreadChooser(8), {1: 0.1, 8: 0.2}, 5) == {8: 5}


def test_it_notices_when_a_neighbor_comes_and_goes():
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


def taught(count: int, seconds: dict[str, float]) -> Cores:
    """Cores that know how long these models take, with one thread as with all."""
    cores = Cores(count)
    for model, each in seconds.items():
        for _ in range(2):
            cores.release(acquire(cores, model), each)
    return cores


def acquire(cores: Cores, model: str, *, others_wait: bool = False, undisturbed: bool = False) -> CoreAllocation:
    share = cores.acquire(model, others_wait=others_wait, undisturbed=undisturbed)
    assert share is not None
    return share


def test_a_model_of_which_nothing_is_known_gets_all_cores():
    cores = Cores(4)
    share = acquire(cores, "new", others_wait=True)
    assert (share.threads, share.cores) == (4, 4)
    assert cores.acquire("new", others_wait=False) is None
    cores.release(share, None)
    assert acquire(cores, "new", others_wait=True).cores == 4, "a first run is not typical"


def test_light_models_run_side_by_side_while_others_wait():
    cores = taught(3, {"light": 0.1})
    shares = [acquire(cores, "light", others_wait=True) for _ in range(3)]
    assert {(share.threads, share.cores) for share in shares} == {(1, 1)}
    assert cores.acquire("light", others_wait=True) is None
    cores.release(shares[0], 0.1)
    # No other image waits behind it any more, but the other cores are taken.
    assert acquire(cores, "light").threads == 1


def test_a_single_image_of_a_light_model_gets_what_was_faster():
    cores = taught(4, {"light": 0.1})
    assert acquire(cores, "light").threads == 4


def test_heavy_models_wait_for_all_cores():
    cores = taught(2, {"light": 0.1, "heavy": 2.0})
    light = acquire(cores, "light", others_wait=True)
    assert cores.acquire("heavy", others_wait=False) is None
    cores.release(light, 0.1)
    heavy = acquire(cores, "heavy", others_wait=True)
    assert (heavy.threads, heavy.cores) == (2, 2)
    assert cores.acquire("light", others_wait=False) is None


def test_nothing_runs_beside_what_is_measured():
    cores = taught(2, {"light": 0.1})
    light = acquire(cores, "light", others_wait=True)
    assert cores.acquire("light", others_wait=False, undisturbed=True) is None
    cores.release(light, 0.1)
    acquire(cores, "light", others_wait=True, undisturbed=True)
    assert cores.acquire("light", others_wait=False) is None


def test_only_runs_without_company_tell_how_fast_a_model_is():
    cores = taught(2, {"light": 0.1, "other": 0.1})
    first, second = acquire(cores, "light", others_wait=True), acquire(cores, "other")
    assert not first.alone
    assert not second.alone
    # In company it seems heavy; it is not.
    cores.release(first, 5.0)
    cores.release(second, 5.0)
    assert acquire(cores, "light", others_wait=True).cores == 1
