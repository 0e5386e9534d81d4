"""Fuzzes the reader of weights and checkpoints; no model is built with memory of its own."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import safetensors.torch
import torch

from detection_core.models.catalog import Architecture
from detection_core.models.checkpoint import CheckpointError, read_checkpoint
from detection_core.models.user_models import spec_of_checkpoint
from tests.fuzz.checks import check_message, require
from tests.fuzz.mutation import mutated_bytes, random_value
from tests.fuzz.readers import Reader
from tests.random_models import hollow_content, hollow_state

_ARCHITECTURE = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 3})
# The values that a person may change in a checkpoint.
_FIELDS = (
    "format", "version", "architecture", "categories", "keypoint_names", "state", "training", "metrics", "default_threshold", "resume",
    "category_ids",
)  # fmt: skip


def _torch(value: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **how)
    return stream.getvalue()


def _seeds(_: Path) -> list[bytes]:
    content, state = hollow_content(_ARCHITECTURE), hollow_state(_ARCHITECTURE)
    few = dict(list(state.items())[:6])
    small = {"a.weight": torch.zeros(2, 3), "b": torch.zeros((), dtype=torch.int64)}
    return [
        _torch(content), _torch(state), _torch({"model": state, "epoch": 3, "args": [1, "x"]}), _torch({"state_dict": few}),
        _torch(few, _use_new_zipfile_serialization=False), _torch(small), _torch({}), pickle.dumps({"a": 1}), safetensors.torch.save(small),
        safetensors.torch.save(small, {"format": "pt"}),
    ]  # fmt: skip


def _mutate(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Changes values, the pickle within the archive, the header of safetensors, or any bytes."""
    way = random.randrange(10)
    if way < 3:
        return _other_values(random)
    data = random.choice(seeds)
    if way < 7 and data.startswith(b"PK"):
        return _other_member(random, data)
    if way < 9 and data[8:9] == b"{":
        return _other_header(random, data)
    return mutated_bytes(random, seeds)


def _plain(value: Any) -> Any:
    """Values that torch can write: texts with halves of pairs are none."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value


def _other_values(random: Random) -> bytes:
    content = hollow_content(_ARCHITECTURE)
    state = content["state"]
    for _ in range(random.choice((1, 1, 2, 3))):
        way = random.randrange(5)
        name = random.choice(list(state)) if state else ""
        if way == 0:
            content[random.choice(_FIELDS)] = _plain(random_value(random))
        elif way == 1:
            content["architecture"] = {"builder": _plain(random_value(random)), "arguments": {"num_classes": _plain(random_value(random))}}
        elif way == 2:
            content["architecture"] = {"builder": _ARCHITECTURE.builder, "arguments": {"num_classes": 3, "weights": random_value(random)}}
            content["architecture"]["arguments"][str(_plain(random.choice(("size", "trainable_backbone_layers", "x"))))] = _plain(
                random_value(random)
            )
        elif way == 3 and name:
            state[name] = random.choice(
                (torch.zeros(()), torch.zeros(0), torch.zeros(1, 2, 3), torch.zeros((), dtype=torch.complex64).expand(state[name].shape),
                 torch.zeros(state[name].shape, device="meta"), _plain(random_value(random)), torch.zeros(3).to_sparse())
            )  # fmt: skip
        elif name:
            state[str(_plain(random_value(random)))[:200]] = state.pop(name)
    return _torch(content if random.random() < 0.7 else state)


def _other_member(random: Random, data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        names = old.namelist()
        changed = next(name for name in names if name.endswith("data.pkl")) if random.random() < 0.7 else random.choice(names)
        for name in names:
            content = old.read(name)
            # With a date of its own, and not the time at which this runs: an input depends on its number alone.
            new.writestr(zipfile.ZipInfo(name), mutated_bytes(random, [content]) if name == changed else content)
    return stream.getvalue()


def _other_header(random: Random, data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    entry = header[random.choice(list(header))]
    entry[random.choice(list(entry))] = random_value(random)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _read(data: bytes, folder: Path) -> object:
    accepted = None
    refusal: CheckpointError | None = None
    for mmap, name in ((True, "model.pt"), (False, "weights.safetensors")):
        path = folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        try:
            accepted = read_checkpoint(path, mmap=mmap)
            spec = spec_of_checkpoint(accepted, path)
        except CheckpointError as error:
            refusal = error
            check_message(str(error))
            continue
        for text in (spec.title, spec.best_for, spec.note or "none"):
            check_message(text)
        require(all(name.strip() for name in spec.categories), "a class has no name")
        require(0 <= spec.default_threshold <= 1, "the threshold is no score")
    if refusal is not None:
        raise refusal
    return accepted


CHECKPOINTS = Reader(_seeds, _mutate, _read)
