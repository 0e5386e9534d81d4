"""Reads a file of weights, PyTorch's or safetensors', as plain data: no code in it is run, and files of other kinds are rejected."""

from __future__ import annotations

import argparse
import json
import logging
import re
import threading
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import safetensors
import safetensors.torch
import torch

logger = logging.getLogger(__name__)

SAVE_WEIGHTS_ONLY = "Save its weights alone, with torch.save(model.state_dict(), …), and use that file."
_COPY_AGAIN = "If it is still being written, wait; otherwise copy it again."
_ZIP = b"PK\x03\x04"
# How `torch.save` began before it wrote zips: a pickle of this number.
_OLDER_FORMAT = bytes.fromhex("8a0a6cfc9c46f920 6aa850 19")
# The name of a class or function in a pickle that torch does not know as harmless, and what it expects of it after that.
_UNKNOWN_GLOBAL = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed")
_OTHER_KIND = re.compile(r"Can only (SETITEM|append).*got <class '(?:[\w.]*\.)?_Inert\((.+)\)'>")
_BLOCKED = re.compile(r"unsupported GLOBAL (\S+) whose module")
# Opcodes of protocols that torch.save does not use.
_OTHER_PICKLE = re.compile(r"Unsupported operand (?:149|150|140|14[1-8])\b")
_MOST_GLOBALS = 100
_LONGEST_HEADER = 100_000_000
# What files begin with that people take for weights, what those are, and what to do.
_OTHER_FILES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"version https://git-lfs"), "is only a pointer to a file in Git LFS. Fetch the file itself with git lfs pull."),
    (re.compile(rb"\s*<(?i:!doctype|html|\?xml)"), "is a web page, not a file of PyTorch weights. Download the file itself."),
    (re.compile(rb"\x89HDF"), "is an HDF5 file, such as Keras writes, not a file of PyTorch weights. Use weights of PyTorch."),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"), "is a compressed file. Unpack it and use what is in it."),
    (re.compile(rb"\x93NUMPY"), "is a NumPy array, not a file of PyTorch weights. Use weights of PyTorch."),
    (re.compile(rb"GGUF"), "is a GGUF file, not a file of PyTorch weights. Use weights of PyTorch."),
    (re.compile(rb"(?s).{257}ustar"), "is a tar archive. Unpack it and use the file of weights that is in it."),
)
_ANOTHER = "Use a file that torch.save or safetensors has written."

# torchvision's own training scripts keep their command line in the checkpoint; it is a bag of plain values.
torch.serialization.add_safe_globals([argparse.Namespace])
# The list of harmless names is the process's; who changes it for one file changes it for all.
_globals_lock = threading.Lock()


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        value: Plain types and tensors. A Python object of another kind is an empty stand-in, or holds its items only.
        objects: Names of the classes and functions for which there are stand-ins.
    """

    value: Any
    objects: tuple[str, ...] = ()


def read_weights_file(path: Path, *, mmap: bool = True) -> Content:
    """Reads a file of weights by what is in it, whatever its name says.

    Args:
        path: The file.
        mmap: Leave the weights on the disk until they are used, where the format allows it; False reads and checks all.

    Raises:
        ValueError: If it is no such file; the message goes on a sentence that begins with the file's name.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}. Check its name and its rights.") from error
    if not start:
        raise ValueError(f"is empty. {_COPY_AGAIN}")
    if _begins_safetensors(start):
        return Content(_read_safetensors(path, mmap))
    zipped = start.startswith(_ZIP)
    if zipped and not zipfile.is_zipfile(path):
        raise ValueError(f"is cut short. {_COPY_AGAIN}")
    for pattern, what in _OTHER_FILES:
        if pattern.match(start):
            raise ValueError(what)
    content = _read_torch(path, mmap and zipped)
    if zipped and not mmap and not _checksums_fit(path):
        raise ValueError(f"is damaged: its content does not fit its checksums. {_COPY_AGAIN}")
    return content


def begins_as_weights(path: Path) -> bool:
    """Whether a file of any name begins as one of weights does; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return False
    if start.startswith(_ZIP):
        return b"data.pkl" in start or b"/version" in start or b".format_version" in start
    return _begins_safetensors(start) or _OLDER_FORMAT in start[:32]


def _begins_safetensors(start: bytes) -> bool:
    """A length and an object of JSON."""
    return len(start) > 9 and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER and start[8:].lstrip()[:1] == b"{"


def _read_safetensors(path: Path, mmap: bool) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path) if mmap else safetensors.torch.load(path.read_bytes())
    except MemoryError:
        raise
    except Exception as error:  # Of the library's own kind, and others.
        logger.info("reading %s failed: %r", path, error)
        if _is_cut_short(path):
            raise ValueError(f"is cut short: it is smaller than its own table of contents says. {_COPY_AGAIN}") from error
        raise ValueError(
            f"is a safetensors file that cannot be read ({error}). Write it again with safetensors.torch.save_file."
        ) from error


def _is_cut_short(path: Path) -> bool:
    """Whether a safetensors file ends before its last tensor does."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length)
        if len(header) < length:
            return True
        ends = [entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"]
        return path.stat().st_size < 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False


def _read_torch(path: Path, mmap: bool) -> Content:
    """What `torch.load` gives of plain data. Objects of unknown classes are read again and again as stand-ins, until all are known."""
    kinds: dict[str, Literal["object", "dict", "list"]] = {}
    # torch takes a path with this ending for another format; without a path it cannot leave weights on the disk.
    misnamed = path.suffix.lower() == ".safetensors"
    for _ in range(_MOST_GLOBALS):
        # torch leaves "builtins" out of the names that it complains of.
        stand_ins = [(_stand_in(name, kind), name if "." in name else f"builtins.{name}") for name, kind in kinds.items()]
        try:
            with _globals_lock, torch.serialization.safe_globals(stand_ins), path.open("rb") as file:  # type: ignore[arg-type]
                source, mapped = (file, False) if misnamed else (path, mmap)
                return Content(torch.load(source, map_location="cpu", weights_only=True, mmap=mapped), tuple(kinds))
        except MemoryError:
            raise
        except Exception as error:
            message = str(error)
            unknown, other = _UNKNOWN_GLOBAL.search(message), _OTHER_KIND.search(message)
            if unknown and unknown[1] not in kinds:
                kinds[unknown[1]] = "object"
            elif other and kinds.get(other[2]) == "object":
                kinds[other[2]] = "dict" if other[1] == "SETITEM" else "list"
            else:
                logger.info("reading %s failed: %r", path, error)
                raise ValueError(_reason(path, message, tuple(kinds))) from error
    raise ValueError(objects_beside(tuple(kinds)))


def _stand_in(name: str, kind: Literal["object", "dict", "list"]) -> type:
    """A class that takes a pickle's unknown one's place and does nothing with what it is given."""

    def ignore(self: Any, *_: Any, **__: Any) -> None:
        """Forgets it."""

    def new(cls: type, *_: Any, **__: Any) -> Any:
        # torch fills mappings of its own kinds only.
        return OrderedDict() if kind == "dict" else list.__new__(cls) if kind == "list" else object.__new__(cls)

    bases = (list,) if kind == "list" else ()
    return type(f"_Inert({name})", bases, {"__new__": new, "__init__": ignore, "__setstate__": ignore})


def objects_beside(names: tuple[str, ...]) -> str:
    """That a file has no weights that could be read, only Python objects."""
    name = f" ({names[0]})" if names else ""
    return f"holds Python objects besides weights{name}, which could run any code and are not loaded. {SAVE_WEIGHTS_ONLY}"


def _reason(path: Path, message: str, names: tuple[str, ...]) -> str:
    """Why torch has refused a file, in words for people."""
    if "TorchScript" in message:
        return f"is a TorchScript program, not weights. {SAVE_WEIGHTS_ONLY}"
    if blocked := _BLOCKED.search(message) or _UNKNOWN_GLOBAL.search(message):
        return objects_beside((blocked[1],))
    if _OTHER_PICKLE.search(message):
        return f"was written by pickle instead of torch.save, so it could run any code and is not loaded. {SAVE_WEIGHTS_ONLY}"
    if names:
        return objects_beside(names)
    if zipfile.is_zipfile(path):
        # Its end may be intact, but not its directory.
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            if not any(name.endswith("data.pkl") for name in archive.namelist()):
                return f"is no file of PyTorch weights but a zip archive of other files. {_ANOTHER}"
        return f"is damaged: its content cannot be read. {_COPY_AGAIN}"
    if begins_as_weights(path):
        return f"is cut short, or it is damaged. {_COPY_AGAIN}"
    return f"is no file of PyTorch weights. {_ANOTHER}"


def _checksums_fit(path: Path) -> bool:
    """Whether the content is what was written; torch does not check."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
