"""Writing JSON: long lists item by item, and float32 numbers in the fewest digits."""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import Any

import numpy as np

_SPOOL_IN_MEMORY = 8 * 2**20


class JsonList:
    """A list under way, within a JSON text that has something before and after it; what outgrows memory goes to a temporary file.

    Attributes:
        length: Number of entries.
    """

    def __init__(self, beginning: str) -> None:
        """Starts with the text that ends in the list's opening bracket."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY)  # noqa: SIM115  (handed on to the target)
        self._file.write(beginning.encode())
        self.length = 0

    def append(self, entry: dict[str, Any]) -> None:
        """Adds an entry."""
        self._file.write(((",\n" if self.length else "\n") + json.dumps(entry)).encode())
        self.length += 1

    def take_over(self, other: JsonList, ending: str) -> None:
        """Ends the list with a text that leads to another one, and goes on with that."""
        with other.end("") as file:
            self._file.write(ending.encode())
            file.seek(0)
            shutil.copyfileobj(file, self._file)
        self.length = other.length

    def end(self, ending: str) -> tempfile.SpooledTemporaryFile[bytes]:
        """The file, with the text that begins with the list's closing bracket; to be closed."""
        self._file.write(ending.encode())
        return self._file


def shortest(value: np.float32) -> float:
    """The number with the fewest digits that is this float32 again when read; NaN and infinities stay."""
    return float(str(value))
