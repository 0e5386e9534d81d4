"""Turns the names of objects and rows, which may be any text, into places within a folder of results."""

from __future__ import annotations

import re

from detection_core.file_names import shortened

# Control characters, and what Windows does not allow in the names of files.
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
# In bytes; file systems allow 255.
_LONGEST_FOLDER = 150
# Folders in folders; systems allow paths of about 4,000 bytes.
_MOST_PARTS = 12


def safe_place(name: str) -> str:
    """Returns a relative path that stays within its folder on every file system: without "..", roots and drives.

    Args:
        name: Any text; "/" and backslashes are between folders. Of very many folders, the last ones are kept.
    """
    parts = [_UNSAFE.sub("_", part).strip() for part in re.split(r"[/\\]+", name)]
    *folders, last = [part for part in parts if part.strip(".")][-_MOST_PARTS:] or ["image"]
    # The last one is shortened with the ending of a result: see `inputs.free_stems`.
    return "/".join([*(shortened(folder, _LONGEST_FOLDER) for folder in folders), last])
