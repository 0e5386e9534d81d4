"""Reads numbers from environment variables."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detection_core.errors import SettingsError


def positive_number(environ: Mapping[str, str], name: str, example: int) -> float | None:
    """Returns the value of a variable as a number, or None if it is not set or empty.

    Args:
        environ: The environment variables.
        name: Name of the variable.
        example: An example of a valid number, for the error message.

    Raises:
        SettingsError: If the value is not a positive number.
    """
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name} must be a positive number such as {example}, not “{text}”.")
    return value
