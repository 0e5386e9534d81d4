"""Engines with a network that does what a test wants."""

from __future__ import annotations

import pytest

from detection_core.engine import LocalEngine
from detection_core.engine.ray import engine as ray_engine
from tests.engine.fakes import Loader, Network
from tests.engine.ray.in_process import InProcessLink


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def loader(network: Network) -> Loader:
    return Loader(network)


@pytest.fixture(params=["local", "ray"])
def engine(loader: Loader, network: Network, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """What the page uses must be the same wherever detection runs."""
    if request.param == "ray":
        monkeypatch.setattr(ray_engine, "ClusterLink", InProcessLink(loader))
    engine = LocalEngine(loader=loader, cores=1) if request.param == "local" else ray_engine.RayEngine()
    yield engine
    network.go.set()
    loader.go.set()
    engine.close()


@pytest.fixture
def batching(loader: Loader, network: Network):
    """An engine that takes up to three images in a pass, as one on a GPU does."""
    engine = LocalEngine(loader=loader, cores=1, batch=3)
    yield engine
    network.go.set()
    engine.close()
