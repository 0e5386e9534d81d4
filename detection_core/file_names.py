"""Names of files: as long as file systems take them, and on one line where people read them."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What nearly all file systems take, in bytes.
_USUAL_LIMIT = 255
# Control characters, line and paragraph separators, and what turns the direction of writing.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def longest_name(folder: Path) -> int:
    """How many bytes a file's name may have in a folder."""
    try:
        return min(os.pathconf(folder, "PC_NAME_MAX"), _USUAL_LIMIT)
    except (OSError, ValueError, AttributeError):  # No such folder, or Windows.
        return _USUAL_LIMIT


def shortened(name: str, most: int) -> str:
    """As much of a name's beginning as has so many bytes, in whole characters."""
    if len(encoded := os.fsencode(name)) <= most:
        return name
    kept = name[:most]
    while len(encoded := os.fsencode(kept)) > most:
        # A character has up to four bytes.
        kept = kept[: -max(1, (len(encoded) - most) // 4)]
    return kept


def on_one_line(text: str) -> str:
    """The text with line breaks, and what else would spoil a terminal's line, as Python's escapes."""
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
