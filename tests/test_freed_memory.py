from __future__ import annotations

import sys
from pathlib import Path

import pytest

from detection_core import glibc
from detection_core.freed_memory import give_back_freed_memory
from detection_core.process import settle

MIB = 2**20


def resident_mib() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
@pytest.mark.skipif(glibc.find("malloc_trim") is None, reason="another C library")
def test_pages_between_blocks_in_use_go_back():
    blocks = [bytearray(b"x") * (MIB // 16) for _ in range(16 * 200)]
    full = resident_mib()
    # Every hundredth stays, so that nothing is free at the end.
    kept = blocks[::100]
    del blocks
    give_back_freed_memory()
    assert resident_mib() < full - 150
    assert len(kept) == 32


def test_another_c_library_is_no_error(monkeypatch):
    monkeypatch.setattr(glibc, "find", lambda name: None)
    assert not give_back_freed_memory()
    settle()
