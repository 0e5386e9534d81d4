from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from detection_core.engine.peak_memory import peak_memory

CPU = torch.device("cpu")
MIB = 2**20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process its peak")


@pytest.mark.parametrize("times", [1, 2], ids=["first", "again"])
def test_sees_what_is_taken_and_given_back(times: int):
    for _ in range(times):
        with peak_memory(CPU) as peak:
            np.ones(200 * MIB, np.uint8)
    assert 195 * MIB < peak() < 260 * MIB


def test_does_not_count_what_was_there_before():
    before = np.ones(200 * MIB, np.uint8)
    with peak_memory(CPU) as peak:
        np.ones(20 * MIB, np.uint8)
    assert 15 * MIB < peak() < 80 * MIB
    assert before[-1] == 1


def test_a_device_that_tells_nothing_is_said():
    with peak_memory(torch.device("meta")) as peak:
        pass
    assert peak() is None
