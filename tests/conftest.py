"""What tests share: no models that are in this checkout, one thread where many would be slow, and what CPU this is."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from typing import Any

# Before torch reads it: processes that test side by side must not all take all cores. Those that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

from benchmarks.common import cpu_model
from tests.machine import NO_INSTRUCTIONS, fast_dtype
from tests.ray_nodes import ROOMY_NODE, start_head

# The default run tries the same examples each time, so that it fails because of a change and never by chance; a slow machine is no
# failure. `pytest --hypothesis-profile=explore` tries many new examples: what it finds becomes a row of a table.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("repeatable")

# Before any test asks for the catalog: many are made for each of its models.
os.environ["DETECTION_EXPLORER_MODELS_DIR"] = ""


def pytest_configure(config: pytest.Config) -> None:
    """Has Gradio keep its pages' files in a folder that is deleted at the end; it asks for the folder when it is imported."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="gradio-")
        config.add_cleanup(folder.cleanup)
        os.environ["GRADIO_TEMP_DIR"] = folder.name


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: tests of the page spend half of their time waiting for the browser."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Commands set variables of this process by their flags; the next test must not see them."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def log_handlers() -> Iterator[None]:
    """Commands write their log to the stream that pytest captures in their test, and closes."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    if root.handlers != before:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slow on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Any]:
    """A Ray cluster with room for a detector and two workers, for tests that leave it as it is: starting one takes longer than they do."""
    with start_head() as cluster:
        cluster.add_node(**ROOMY_NODE)
        yield cluster


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster of a test's own, without a node that could run detectors; tests add nodes."""
    with start_head() as cluster:
        yield cluster


def pytest_report_header() -> str:
    """So that a log says which tests its machine could not run."""
    dtype = fast_dtype()
    return f"CPU: {cpu_model()}; fast precision: {NO_INSTRUCTIONS if dtype is None else str(dtype).removeprefix('torch.')}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what computes in numbers of sixteen bits where the product would not."""
    if item.get_closest_marker("sixteen_bits") and fast_dtype() is None:
        pytest.skip(NO_INSTRUCTIONS)
