"""Finds a detector's weights in whatever a training script has wrapped them in, by the names that torchvision gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from detection_core.models.state_dict import recognizable_names, tells_classes

# Deeper nesting and longer names are no wrappers' any more; the limits keep hostile files from costing time.
_DEEPEST = 8
_LONGEST_NAME = 32
# Parts of names under which averaged weights are kept; a name such as "modelEma" is divided before.
_AVERAGED = {"ema", "swa", "averaged", "average", "avg", "shadow"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# What `torch.optim.swa_utils.AveragedModel` keeps beside the weights.
_AVERAGED_COUNT = "n_averaged"

Place = tuple[str, ...]


@dataclass(frozen=True)
class FoundState:
    """A detector's weights in one place of a file.

    Attributes:
        place: What stands before each of their names: keys of nested mappings and prefixes of wrappers.
        state: Weights under torchvision's names. Weights of the same place that torchvision has no names for keep their own.
        averaged: The place says that they are an average over training (EMA, SWA).
        left_out: First parts of the names of other weights beside them, such as a loss's.
    """

    place: Place
    state: dict[str, Tensor]
    averaged: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The place for people."""
        return ".".join(self.place) or "the file itself"


class _Entry(NamedTuple):
    """A tensor of the file: its whole name, the mapping that it lies in, and what it is in torchvision's names, or ""."""

    parts: Place
    tensor: Tensor
    container: int
    name: str
    place: Place
    skipped: int


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)


def find_states(content: Any) -> list[FoundState]:
    """All places in a file's content that hold a detector's weights.

    Mappings, lists and tuples are searched, whatever their keys. A name is recognized behind any prefix and with any wrapper's
    part inside ("backbone._orig_mod.body…"), even where not all names have the same.

    Args:
        content: What `torch.load` gives.

    Returns:
        Averaged weights first, otherwise in the order of the file. Empty if no name is that of a detector's classifier.
    """
    entries = [_recognized(parts, tensor, container) for parts, tensor, container in _tensors(content)]
    places = list(dict.fromkeys(entry.place for entry in entries if tells_classes(entry.name)))
    counters = [entry.parts[:-1] for entry in entries if entry.parts[-1] == _AVERAGED_COUNT]
    found = [_state_at(place, places, entries, _is_averaged(place, counters)) for place in places]
    found.sort(key=lambda state: not state.averaged)
    return [_completed(state, found) for state in found]


def tensor_names(content: Any) -> list[str]:
    """The names of all tensors in a file's content, in its order."""
    return [".".join(parts) for parts, _, _ in _tensors(content)]


def _tensors(content: Any) -> Iterator[tuple[Place, Tensor, int]]:
    """All tensors that have a name, each with it and with its container."""
    seen: set[int] = set()

    def walk(value: Any, place: Place) -> Iterator[tuple[Place, Tensor, int]]:
        # A pickle may contain itself.
        if len(place) > _DEEPEST or id(value) in seen:
            return
        seen.add(id(value))
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
        for key, item in items:
            if isinstance(item, Tensor):
                if isinstance(key, str):
                    yield (*place, *key.split(".")), item, id(value)
            elif isinstance(key, str) or not isinstance(value, Mapping):
                yield from walk(item, (*place, str(key)))

    return walk(content, ())


def _recognized(parts: Place, tensor: Tensor, container: int) -> _Entry:
    best: tuple[int, int, str] | None = None
    for start in range(len(parts) if len(parts) <= _LONGEST_NAME else 0):
        if (found := _descend(parts, start, _names())) is not None:
            best = min(best or (found[0], start, found[1]), (found[0], start, found[1]))
    if best is not None:
        return _Entry(parts, tensor, container, best[2], parts[: best[1]], best[0])
    # A weight that is no part of any builder still belongs to the model if a part of the model has it.
    own = next((i for i, part in enumerate(parts[:-1]) if part in _names().children), len(parts))
    return _Entry(parts, tensor, container, "", parts[:own], 0)


def _descend(parts: Place, position: int, node: _Node) -> tuple[int, str] | None:
    """How many wrappers' parts stand inside a name, and the name without them; None if it is not known."""
    if position == len(parts):
        return None if node.children else (0, "")
    part = parts[position]
    if part in node.children and (found := _descend(parts, position + 1, node.children[part])) is not None:
        return found[0], f"{part}.{found[1]}".rstrip(".")
    # Numbers are layers, never wrappers; before the first known part stands a prefix, which is not looked at here.
    if node is _names() or part.isdigit() or not node.children or position + 1 == len(parts):
        return None
    found = _descend(parts, position + 1, node)
    return None if found is None else (found[0] + 1, found[1])


@cache
def _names() -> _Node:
    root = _Node()
    for name in recognizable_names():
        node = root
        for part in name.split("."):
            node = node.children.setdefault(part, _Node())
    return root


def _state_at(place: Place, places: list[Place], entries: list[_Entry], averaged: bool) -> FoundState:
    """The weights of one place: its own, and those of no other place, as where only a part of the model is wrapped."""
    chosen: dict[str, _Entry] = {}
    for entry in entries:
        if entry.name and _owner(entry.place, places) in (place, None):
            other = chosen.get(entry.name)
            if other is None or _distance(entry, place) < _distance(other, place):
                chosen[entry.name] = entry
    used = {entry.place for entry in chosen.values()}
    state = {name: entry.tensor for name, entry in chosen.items()}
    unknown = [entry for entry in entries if not entry.name]
    state |= {".".join(e.parts[len(e.place) :]): e.tensor for e in unknown if e.place in used and e.place != e.parts}
    containers = {entry.container for entry in chosen.values()}
    # Counters and the state of metrics have one dimension or none.
    beside = [entry for entry in unknown if entry.place not in used and entry.container in containers and entry.tensor.ndim > 1]
    return FoundState(place, state, averaged, tuple(dict.fromkeys(_first_difference(entry.parts, place) for entry in beside)))


def _owner(place: Place, places: list[Place]) -> Place | None:
    """The innermost of the places that one lies in."""
    return max((each for each in places if place[: len(each)] == each), key=len, default=None)


def _distance(entry: _Entry, place: Place) -> tuple[int, int, int]:
    return -_common(entry.place, place), len(entry.place), entry.skipped


def _common(first: Place, second: Place) -> int:
    return next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))


def _first_difference(parts: Place, place: Place) -> str:
    return ".".join(parts[: _common(parts, place) + 1])


def _is_averaged(place: Place, counters: list[Place]) -> bool:
    if any(place[: len(counter)] == counter for counter in counters):
        return True
    words = [word.lower() for part in place for word in _WORD.findall(part)]
    return any(word in _AVERAGED or word.startswith("ema") or word.endswith("ema") for word in words)


def _completed(found: FoundState, others: list[FoundState]) -> FoundState:
    """Averaged weights with what is not averaged, such as the statistics of norms, from the weights that they are an average of."""
    usual = next((other for other in others if not other.averaged), None)
    if not found.averaged or usual is None:
        return found
    modules = {_module(name) for name in found.state}
    missing = {name: tensor for name, tensor in usual.state.items() if _module(name) in modules and name not in found.state}
    return replace(found, state=found.state | missing)


def _module(name: str) -> str:
    return ".".join(name.split(".")[:2])
