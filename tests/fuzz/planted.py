"""A reader with a fault of every kind, by which the harness is tested."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

from detection_core.errors import UserError
from tests.fuzz.readers import Reader

KINDS = (b"fine", b"refused", b"exception", b"path", b"recursion", b"death", b"memory", b"hang")


def _read(data: bytes, folder: Path) -> object:
    if data == b"refused":
        raise UserError("This cannot be read. Choose another one.")
    if data == b"exception":
        raise KeyError(data)
    if data == b"path":
        raise UserError(f"There is no {Path(__file__)}. Choose another one.")
    if data == b"recursion":
        return _read(data, folder)
    if data == b"death":
        os.abort()
    if data == b"memory":
        return bytes(2**40)
    if data == b"hang":
        time.sleep(600)
    return data


def _mutate(random: Random, seeds: object) -> bytes:
    return b"fine"


PLANTED = Reader(lambda _: list(KINDS), _mutate, _read)
