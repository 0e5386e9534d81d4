"""What is said where the protocol's package is missing or of another version."""

from __future__ import annotations

from importlib import metadata

import pytest

from detection_core.errors import SettingsError
from detection_core.settings import Settings
from detection_core.ui.app import build_app
from detection_core.ui.mcp.package import require_mcp
from tests.ui.fake_engine import FakeEngine


@pytest.mark.parametrize("version", [None, "1.30.0", "3.0.0", "20.0.0"])
def test_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, version: str | None):
    def find(name: str) -> str:
        assert name == "mcp"
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", find)
    for check in (require_mcp, lambda: build_app(FakeEngine(), settings=Settings(mcp=True))):
        with pytest.raises(SettingsError, match=r"pip install -r requirements-mcp\.txt"):
            check()


def test_accepts_what_the_requirements_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metadata, "version", lambda name: "2.3.0")
    require_mcp()
