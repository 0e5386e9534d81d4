"""All readers that are fuzzed, each with its valid inputs, the way to mutate these, and what is done with what it accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random

Mutate = Callable[[Random, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of input.

    Attributes:
        seeds: Makes valid inputs in a folder that it may use.
        mutate: Makes another input of them.
        read: Reads an input and uses what it is in every way; it may write into the folder. It raises a UserError for an input that
            is refused, and anything else for a fault.
    """

    seeds: Callable[[Path], list[bytes]]
    mutate: Mutate
    read: Callable[[bytes, Path], object]


# The module and the name of each, so that a worker imports only what its reader needs.
_HOMES = {
    "images": ("files", "IMAGES"),
    "coco": ("annotations", "COCO_RESULTS"),
    "datasets": ("annotations", "COCO_DATASETS"),
    "numbering": ("annotations", "NUMBERING"),
    "classes": ("annotations", "CLASS_LISTS"),
    "json": ("annotations", "OWN_JSON"),
    "checkpoints": ("checkpoints", "CHECKPOINTS"),
    "videos": ("files", "VIDEOS"),
    "messages": ("messages", "MESSAGES"),
    "links": ("messages", "LINKS"),
    # Faults on purpose, by which the harness is tested.
    "planted": ("planted", "PLANTED"),
}
READERS = tuple(name for name in _HOMES if name != "planted")


def reader_of(name: str) -> Reader:
    """Returns the reader of a name."""
    module, attribute = _HOMES[name]
    reader: Reader = getattr(import_module(f"tests.fuzz.{module}"), attribute)
    return reader


def input_of(reader: Reader, seeds: Sequence[bytes], name: str, seed: int, number: int) -> bytes:
    """Returns one of a run's inputs, always the same: first the seeds as they are, then mutated ones."""
    if number < len(seeds):
        return seeds[number]
    return reader.mutate(Random(f"{name} {seed} {number}"), seeds)
