"""A Ray cluster of several nodes, which are processes of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

# Before Ray is imported. Other processes of this machine may take much memory; Ray would end the detectors for it.
os.environ |= {"RAY_memory_monitor_refresh_ms": "0", "RAY_AUTH_MODE": "disabled"}

# A node with so many cores has room for one detector.
NODE = {"num_cpus": 1, "object_store_memory": 150 * 2**20}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that has no room for detectors, so that whatever happens to these leaves it alone; tests add nodes."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install -r requirements-scale.txt")
    logging.getLogger("ray").setLevel(logging.ERROR)
    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    made = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()
