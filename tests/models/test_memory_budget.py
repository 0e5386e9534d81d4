"""The memory budget comes from the environment variable or from the machine's free memory."""

from __future__ import annotations

import pytest
import torch

from detection_core.models import memory_budget
from detection_core.models.memory_budget import available_memory

CPU = torch.device("cpu")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Linux machine with 10 MiB of free memory and no container around it."""
    limits = (tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes")
    (tmp_path / "meminfo").write_text("MemTotal:       20480 kB\nMemFree:         1024 kB\nMemAvailable:   10240 kB\n")
    monkeypatch.setattr(memory_budget, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory_budget, "_CGROUP_LIMITS", limits)
    monkeypatch.delenv("DETECTION_EXPLORER_MEMORY_BUDGET", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "limit", "expected"),
    [
        pytest.param("other", "1", 10 << 20, id="no container"),
        pytest.param("memory.max", "4194304\n", 4 << 20, id="version 2"),
        pytest.param("memory.max", "max\n", 10 << 20, id="version 2 without a limit"),
        pytest.param("memory.limit_in_bytes", "2097152\n", 2 << 20, id="version 1"),
        pytest.param("memory.limit_in_bytes", "9223372036854771712\n", 10 << 20, id="version 1 without a limit"),
    ],
)
def test_available_memory(machine, file, limit, expected):
    (machine / file).write_text(limit)
    assert available_memory() == expected
    assert memory_budget.memory_budget(CPU) == expected // 2


def test_where_the_kernel_reports_nothing(machine, monkeypatch):
    (machine / "meminfo").unlink()
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.get)
    assert available_memory() == 4_096_000
    monkeypatch.delattr("os.sysconf")
    assert available_memory() == 4 << 30


def test_environment_comes_first(machine, monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_MEMORY_BUDGET", "3MB")
    assert memory_budget.memory_budget(CPU) == 3_000_000


def test_a_gpus_own_memory_counts(machine, monkeypatch):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (800, 1000))
    assert memory_budget.memory_budget(torch.device("cuda")) == 400
