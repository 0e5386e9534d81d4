"""A Ray cluster of several nodes, which are processes of this machine."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

# A node with so many cores has room for one detector.
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
WITHOUT_DASHBOARD: dict[str, Any] = {**NODE, "include_dashboard": False}


def start_head() -> Any:
    """Starts a head that has no room for detectors, so that whatever happens to these leaves it alone."""
    # Before Ray is imported. Other processes of this machine may take much memory; Ray would end the detectors for it.
    os.environ |= {"RAY_memory_monitor_refresh_ms": "0", "RAY_AUTH_MODE": "disabled"}
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install -r requirements-scale.txt")
    logging.getLogger("ray").setLevel(logging.ERROR)
    return cluster_utils.Cluster(initialize_head=True, head_node_args={**WITHOUT_DASHBOARD, "num_cpus": 0})
