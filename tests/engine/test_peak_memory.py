from __future__ import annotations

import numpy as np
import pytest
import torch

from detection_core.engine.peak_memory import peak_memory
from tests.machine import NO_PEAK, reports_a_peak

CPU = torch.device("cpu")
MIB = 2**20

needs_a_peak = pytest.mark.skipif(not reports_a_peak(), reason=NO_PEAK)


@needs_a_peak
@pytest.mark.parametrize("times", [1, 2], ids=["first", "again"])
def test_sees_what_is_taken_and_given_back(times: int):
    for _ in range(times):
        with peak_memory(CPU) as peak:
            np.ones(200 * MIB, np.uint8)
    assert 195 * MIB < peak() < 260 * MIB


@needs_a_peak
def test_does_not_count_what_was_there_before():
    before = np.ones(200 * MIB, np.uint8)
    with peak_memory(CPU) as peak:
        np.ones(20 * MIB, np.uint8)
    assert 15 * MIB < peak() < 80 * MIB
    assert before[-1] == 1


def test_the_peak_of_a_device_without_figures_is_unknown():
    with peak_memory(torch.device("meta")) as peak:
        pass
    assert peak() is None


@pytest.mark.parametrize("name", ["_STATUS", "_CLEAR_REFS"])
def test_without_the_files_of_the_kernel_the_peak_is_unknown(monkeypatch, tmp_path, name):
    monkeypatch.setattr(f"detection_core.engine.peak_memory.{name}", tmp_path / "missing" / "file")
    with peak_memory(CPU) as peak:
        pass
    assert peak() is None
