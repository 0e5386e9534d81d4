"""Mutates valid inputs: bytes of any file, and the structure of JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

_TEXTS = [
    "", " ", "\0", "a\0b", "\ud800", "\udc80\ud83d", "\u202egnp.exe", "\u2066\u2029\r\n", "\x1b[31m", "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", "../../etc/passwd", "/etc/passwd", "C:\\x\\y", "%00", "%252e%252e%252f", "{0.__class__}", "NaN", "1e999",
    "٣", "5", "005", "5.0", "-1", "1" * 40, "ß" * 300, "x" * 20_000, "𝄞" * 200, "a/" * 2000, "http://localhost/a.jpg", "data:,x",
]  # fmt: skip
_NUMBERS = [
    0, -0.0, 1, -1, 2, 0.5, 1.5, 90, 91, 255, 256, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 1e9, 1e15,
    1e18, 1e308, -1e308, 5e-324, 1e-9, 10**30, 10**400, -(10**400), 10**4200, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
_OTHERS = [None, True, False, [], {}, [[]], [{}], {"": None}, [None] * 4, [0] * 2000, {"id": 1}, {"counts": "0", "size": [1, 1]}]
# Copies of copies would take all memory.
_MOST_PLACES = 5_000
# What `json.dumps` does not write: it stands for itself in the text.
_RAW = "RAW-%d-RAW"
_RAWS = [
    "[" * 200_000,
    "[" * 900 + "]" * 900,
    '{"a":' * 900 + "1" + "}" * 900,
    "9" * 5000,
    "1e400",
    "-",
    '"\\ud800"',
    "[1,]",
    "'a'",
    "1.",
    "\0",
]
_INTERESTING = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"]


def random_value(random: Random) -> Any:
    """Returns any value that JSON can hold, mostly an unpleasant one."""
    kind = random.randrange(8)
    if kind < 3:
        return random.choice(_TEXTS)
    if kind < 6:
        return random.choice(_NUMBERS)
    # A copy, as it may be changed further.
    return deepcopy(random.choice(_OTHERS)) if kind == 6 else _RAW % random.randrange(len(_RAWS))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All containers in a value with each of their keys or indices."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        keys = list(each) if isinstance(each, dict) else list(range(len(each))) if isinstance(each, list) else []
        found += [(each, key) for key in keys]
        waiting += [each[key] for key in keys]
    return found


def mutated_value(random: Random, value: Any) -> Any:
    """Returns a copy of a JSON value in which a few places have another value, are gone, are there twice, or have another's."""
    value = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        places = _places(value)
        if not places or random.random() < 0.02:
            return random_value(random)
        if len(places) > _MOST_PLACES:
            break
        container, key = random.choice(places)
        how = random.randrange(10)
        if how < 6:
            container[key] = random_value(random)
        elif how == 6:
            del container[key]
        elif how == 7:
            other, theirs = random.choice(places)
            # A copy, as a value must not contain itself.
            container[key] = json.loads(json.dumps(other[theirs]))
        elif isinstance(container, dict):
            container[random.choice((*_TEXTS[:12], "id", "score", "width"))] = random_value(random)
        else:
            container[key:key] = [deepcopy(container[key]) for _ in range(random.choice((1, 2, 20)))]
    return value


def written(random: Random, value: Any) -> bytes:
    """Writes a value as JSON, now and then in another encoding, as JSON lines, or cut, spliced and compressed."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.8)
    for number, raw in enumerate(_RAWS):
        text = text.replace(json.dumps(_RAW % number), raw)
    way = random.randrange(20)
    encoding = {0: "utf-16", 1: "utf-8-sig", 2: "utf-32", 3: "latin-1"}.get(way, "utf-8")
    content = text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    if way == 4:
        return b"\n".join(content for _ in range(3))
    if way == 5:
        content = gzip.compress(content, mtime=0)
    return mutated_bytes(random, [content]) if way in (5, 6) else content


def json_mutator(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Mutates one of the seeds, which are JSON, in its structure."""
    return written(random, mutated_value(random, json.loads(random.choice(seeds))))


def mutated_bytes(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Mutates one of the seeds as bytes: mostly near the beginning, where headers are."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        data = bytearray(random.choice(_WAYS)(random, data, seeds))
    return bytes(data)


def _at(random: Random, data: bytearray) -> int:
    end = len(data) if random.random() < 0.5 else min(len(data), random.choice((32, 128, 512)))
    return random.randrange(end) if end else 0


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    if data:
        data[_at(random, data)] ^= 1 << random.randrange(8)
    return data


def _overwrite(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at, what = _at(random, data), random.choice((*_INTERESTING, random.randbytes(random.choice((1, 2, 4, 8)))))
    data[at : at + len(what)] = what
    return data


def _change_number(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    """Lengths, sizes and offsets are numbers of two, four or eight bytes."""
    size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    at = _at(random, data)
    number = int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]
    changed = random.choice((number + 1, number - 1, number * 2, number << 8, number // 2, 0, -1, 1 << (8 * size - 1)))
    data[at : at + size] = (changed % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]
    return data


def _truncate(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = _at(random, data)
    del data[at : at + random.choice((1, 2, 4, 16, 64, 1024))]
    return data


def _insert(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = _at(random, data)
    data[at:at] = random.choice((random.randbytes(random.choice((1, 4, 64))), b"\0" * 1024, *_INTERESTING))
    return data


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = _at(random, data)
    part = data[at : at + random.choice((1, 4, 16, 256, 4096))]
    data[at:at] = part * random.choice((1, 2, 8, 100))
    return data


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return data[: _at(random, data)] + other[_at(random, bytearray(other)) :]


_Way = Callable[[Random, bytearray, Sequence[bytes]], bytes]
_WAYS: tuple[_Way, ...] = (
    _flip, _flip, _overwrite, _overwrite, _change_number, _change_number, _change_number, _truncate, _remove, _insert, _repeat, _splice,
)  # fmt: skip
