from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import os, re, sys
import {module} as module
{settle}
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
import numpy
before = resident()
large = numpy.ones(200_000_000 // 8)
del large
print(resident() - before > 150, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells so")
@pytest.mark.parametrize(("settle", "told"), [("module.settle()", "True 1"), ("", "False None")], ids=["settled", "as it is"])
def test_freed_memory_stays_for_the_next_picture(monkeypatch, settle, told):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    script = LOOK.format(module="detection_core.process", settle=settle)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
