"""Checks that Ray is installed, which is needed for clusters only."""

from __future__ import annotations

from importlib.util import find_spec

from detection_core.errors import UserError


class RayMissingError(UserError):
    """Ray is not installed; the message says how to install it."""


def require_ray() -> None:
    """Checks without importing Ray, which takes seconds.

    Raises:
        RayMissingError: If Ray is not installed.
    """
    if find_spec("ray") is None:
        raise RayMissingError("The engine “ray” needs Ray, which is not installed. Run `pip install -r requirements-scale.txt` first.")
