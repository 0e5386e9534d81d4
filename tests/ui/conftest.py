"""What tests of the page's parts share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from detection_core.models.user_models import MODELS_DIR
from tests.download_host import machine_without_weights


@pytest.fixture
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with users' models, still empty."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(MODELS_DIR, str(folder))
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The whole app, on a machine without weights whose download host has none either."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from detection_core.engine import LocalEngine
    from detection_core.ui.app import build_app, launch_options

    home = tmp_path_factory.mktemp("home")
    with machine_without_weights(home), pytest.MonkeyPatch.context() as patch:
        # Gradio's client leaves empty folders in there.
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
        engine = LocalEngine()
        app = build_app(engine)
        app.launch(prevent_thread_lock=True, quiet=True, **launch_options())
        yield str(app.local_url)
        app.close(verbose=False)
        engine.close()
