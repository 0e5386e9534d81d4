"""Helpers for writing JSON: long lists item by item, and float32 numbers with the fewest digits."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import Any

import numpy as np

_SPOOL_IN_MEMORY = 8 * 2**20


class JsonList:
    """A list that is written item by item inside a JSON text; a large one is kept in a temporary file.

    Attributes:
        length: Number of entries.
    """

    def __init__(self, beginning: str) -> None:
        """Starts with a text that ends in the list's opening bracket."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115  (handed on to the target)
        self._file.write(beginning.encode())
        self.length = 0

    def append(self, entry: dict[str, Any]) -> None:
        """Adds an entry."""
        self._file.write(((",\n" if self.length else "\n") + json.dumps(entry)).encode())
        self.length += 1

    def take_over(self, other: JsonList, ending: str) -> None:
        """Appends `ending`, a text that closes this list and opens the next one, and then the entries of `other`."""
        with other.end("") as file:
            self._file.write(ending.encode())
            file.seek(0)
            shutil.copyfileobj(file, self._file)
        self.length = other.length

    def end(self, ending: str) -> tempfile.SpooledTemporaryFile[bytes]:
        """Appends a text that starts with the list's closing bracket, and returns the file, which the caller must close."""
        self._file.write(ending.encode())
        return self._file


def shortest(value: np.float32) -> float:
    """Returns the number with the fewest digits that is read as the same float32; NaN and infinities stay as they are."""
    return float(str(value))
