"""A process that tries one input after another, within limits on its memory, and reports each outcome as a line of JSON."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from detection_core.errors import UserError
from tests.fuzz.checks import BrokenPromiseError, check_message
from tests.fuzz.readers import Reader, input_of, reader_of

_PACKAGE = "detection_core"
_NUMBER = re.compile(r"\b\d[\d.]*\b(?!$)")


def outcome_of(reader: Reader, data: bytes, folder: Path) -> dict[str, Any]:
    """Reads an input and returns what came of it: accepted, refused with a message, or failed and where."""
    try:
        try:
            reader.read(data, folder)
        except UserError as error:
            check_message(str(error))
            return {"outcome": "refused", "what": str(error)}
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        inner = [frame for frame in frames if f"{os.sep}{_PACKAGE}{os.sep}" in frame.filename] or frames
        place = f"{Path(inner[-1].filename).name}:{inner[-1].lineno}"
        kind = str(error).partition(":")[0] if isinstance(error, BrokenPromiseError) else f"{type(error).__name__} at {place}"
        return {"outcome": "failed", "kind": _NUMBER.sub("N", kind), "what": f"{error}"[:500], "trace": traceback.format_exc(limit=-12)}
    return {"outcome": "accepted"}


def main() -> None:
    """Tries the inputs of a reader from a certain one on, until the process is ended."""
    name, seed, first, megabytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    # Libraries write what they like to the process's own output.
    report = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    logging.disable()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reader = reader_of(name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        seeds = reader.seeds(folder)
        reader.read(seeds[0], folder)
        os.dup2(nothing, 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)
        number = first
        while True:
            data = input_of(reader, seeds, name, seed, number)
            print(json.dumps({"begun": number}), file=report)
            print(json.dumps({"number": number, **outcome_of(reader, data, folder)}), file=report)
            number += 1


if __name__ == "__main__":
    main()
