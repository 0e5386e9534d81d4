"""File names: shortens them to what file systems allow, and prints them on one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

# The limit of nearly all file systems, in bytes.
_USUAL_LIMIT = 255
# Control characters, line and paragraph separators, characters that change the direction of text, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def longest_name(folder: Path) -> int:
    """Returns how many bytes the name of a file in this folder may have."""
    try:
        return min(os.pathconf(folder, "PC_NAME_MAX"), _USUAL_LIMIT)
    except (OSError, ValueError, AttributeError):  # No such folder, or Windows.
        return _USUAL_LIMIT


def shortened(name: str, most: int) -> str:
    """Shortens a name to at most `most` bytes, without splitting a character."""
    if len(encoded := os.fsencode(name)) <= most:
        return name
    kept = name[:most]
    while len(encoded := os.fsencode(kept)) > most:
        # A character has up to four bytes.
        kept = kept[: -max(1, (len(encoded) - most) // 4)]
    return kept


def without_unprintable(text: str) -> str:
    """Removes line breaks, and other characters that would garble a line, or that no file and no page can hold."""
    return _UNPRINTABLE.sub("", text)


def on_one_line(text: str) -> str:
    """Writes line breaks, and other characters that would garble a line of a terminal, as Python's escapes."""
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
