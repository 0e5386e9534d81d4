"""What tests of the page's parts share."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.models.user_models import MODELS_DIR


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with users' models, still empty."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(MODELS_DIR, str(folder))
    return folder
