"""A Ray cluster of several nodes, which are processes of this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# A node with so many cores has room for one detector.
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 150 * 2**20}
ROOMY_NODE: dict[str, Any] = {**NODE, "num_cpus": 3}
WITHOUT_DASHBOARD: dict[str, Any] = {**NODE, "include_dashboard": False}


@contextmanager
def start_head() -> Iterator[Any]:
    """A cluster whose head has no room for detectors, so that whatever happens to these leaves it alone."""
    # Before Ray is imported. Other processes of this machine may take much memory; Ray would end the detectors for it.
    os.environ |= {"RAY_memory_monitor_refresh_ms": "0", "RAY_AUTH_MODE": "disabled"}
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install -r requirements-scale.txt")
    logging.getLogger("ray").setLevel(logging.ERROR)
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**WITHOUT_DASHBOARD, "num_cpus": 0})
    try:
        yield cluster
    finally:
        cluster.shutdown()


def kill_head(cluster: Any) -> None:
    """Kills the head of a cluster."""
    cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)


@contextmanager
def another_head(cluster: Any) -> Iterator[None]:
    """A cluster of one node at the address of one whose head was killed, whose other nodes are killed as well."""
    for node in list(cluster.worker_nodes):
        node.kill_all_processes(check_alive=False, allow_graceful=False)
    port = int(cluster.address.rpartition(":")[2])
    other = type(cluster)(initialize_head=True, head_node_args={**WITHOUT_DASHBOARD, "num_cpus": 2, "gcs_server_port": port})
    try:
        yield
    finally:
        other.shutdown()
