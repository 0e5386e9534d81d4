from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from detection_core import process

MIB = 2**20
LOOK = """
import os, re, sys
import {module} as module
{code}
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
import numpy
before = resident()
large = numpy.ones(200_000_000 // 8)
del large
print(resident() - before > 150, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux reports it")
@pytest.mark.parametrize(("code", "output"), [("module.configure_process()", "True 1"), ("", "False None")], ids=["configured", "as it is"])
def test_freed_memory_stays_for_the_next_image(monkeypatch, code, output):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    script = LOOK.format(module="detection_core.process", code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == output


def resident_mib() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux reports it")
@pytest.mark.skipif(process.glibc_function("malloc_trim") is None, reason="another C library")
def test_pages_between_blocks_in_use_go_back():
    blocks = [bytearray(b"x") * (MIB // 16) for _ in range(16 * 200)]
    full = resident_mib()
    # Every hundredth stays, so that nothing is free at the end.
    kept = blocks[::100]
    del blocks
    process.release_freed_memory()
    assert resident_mib() < full - 150
    assert len(kept) == 32


def test_another_c_library_is_no_error(monkeypatch):
    monkeypatch.setattr(process, "glibc_function", lambda name: None)
    assert not process.release_freed_memory()
    process.configure_process()
