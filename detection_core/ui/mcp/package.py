"""Checks that the protocol's official package is installed, which only hosts with tools for assistants need."""

from __future__ import annotations

from importlib import metadata

from detection_core.errors import SettingsError

_MAJOR = "2"


def require_mcp() -> None:
    """Checks it.

    Raises:
        SettingsError: If it is missing, or of a version with other functions.
    """
    try:
        found = metadata.version("mcp")
    except metadata.PackageNotFoundError:
        found = ""
    if found.partition(".")[0] != _MAJOR:
        raise SettingsError(f"--mcp needs the package mcp {_MAJOR}. Install it: pip install -r requirements-mcp.txt.")
