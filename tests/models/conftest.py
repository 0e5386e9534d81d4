"""A machine without weights and network, for tests of fetching and loading models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.hub

from detection_core.models import catalog, download, weights


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's folder; it has no weights, and failed downloads are tried again at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    for name in (weights.WEIGHTS_DIR, weights.MIRROR, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    catalog.list_models()  # The catalog reads its own assets, once, before they are moved away.
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(download, "_BACK_OFF_SECONDS", (0.0, 0.0, 0.0))
    return tmp_path


@pytest.fixture
def cache(home: Path) -> Path:
    """torch's folder for weights; it does not exist yet."""
    return home / "torch" / "hub" / "checkpoints"
