"""Plain values from what JSON, NumPy, torch and pycocotools give: numbers, whole numbers, lists and texts."""

from __future__ import annotations

import math
import re
from typing import Any

from detection_core.file_names import on_one_line

_LARGEST_NUMBER = 1e9
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.0*)?")
# Most values are plain, and files have millions of them.
_PLAIN = {int, float, str, bool, list, dict, type(None)}
_LONGEST_NAME = 100
_LONGEST_SHOWN = 40


def plain(value: Any) -> Any:
    """Returns NumPy's and torch's values and arrays, tuples and bytes as numbers, lists and texts; other values as they are."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    if not isinstance(value, type) and callable(to_list := getattr(value, "tolist", None)):
        value = to_list()
    return list(value) if isinstance(value, tuple) else value


def as_number(value: Any) -> float | None:
    """Returns a number, also one written as a text, as a finite float; None if it is not one or is above a billion."""
    value = plain(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST_NUMBER else None


def as_whole_number(value: Any) -> int | None:
    """Returns a whole number, also one written as 5.0, "5" or "005", as an integer; None if it is not one."""
    if type(value) is int:
        return value
    value = plain(value)
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value.partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: null, pandas' NaN, or an empty text, list or object."""
    return value is None or (isinstance(value, str | list | dict) and not value) or (isinstance(value, float) and math.isnan(value))


def fit_to_show(name: str) -> str:
    """Shortens a name, and removes whatever cannot be drawn, printed or encoded: line breaks, terminal codes, lone surrogates."""
    return "".join(letter if letter.isprintable() else " " for letter in name[:_LONGEST_NAME]).strip()


def shown(value: Any) -> str:
    """Formats a wrong value for a message, shortened, on one line."""
    value = plain(value)
    if isinstance(value, str):
        return f"“{on_one_line(value[:_LONGEST_SHOWN])}”"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}" if value else "empty"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of more than 18 digits"
    # As in JSON.
    literals = {None: "null", True: "true", False: "false"}
    return literals[value] if value is None or isinstance(value, bool) else on_one_line(repr(value)[:_LONGEST_SHOWN])
