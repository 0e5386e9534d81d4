"""What tests share: no models that somebody may have put into this checkout, and one thread where many would be slow."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before torch reads it: processes that test side by side must not all take all cores. Those that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Before any test asks for the catalog: many are made for each of its models.
os.environ["DETECTION_EXPLORER_MODELS_DIR"] = ""


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slow on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
