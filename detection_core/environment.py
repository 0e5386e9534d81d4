"""Numbers that the environment sets."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detection_core.errors import SettingsError


def positive_number(environ: Mapping[str, str], name: str, example: int) -> float | None:
    """What a variable says; None if it is not set, or empty.

    Args:
        environ: The variables.
        name: Which.
        example: A number that it might be, for the message.

    Raises:
        SettingsError: If it is not a positive number.
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
