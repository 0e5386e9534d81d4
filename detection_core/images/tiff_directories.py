"""The directories of a TIFF file, one for each page: reads them, and makes files that begin with another one."""

from __future__ import annotations

import io
import struct

from PIL.TiffImagePlugin import IMAGEWIDTH, ImageFileDirectory_v2

_MOST_DIRECTORIES = 10_000


def read_directory(data: bytes, offset: int = 0) -> ImageFileDirectory_v2:
    """Reads the directory at an offset of a TIFF file, or the first one for 0."""
    directory = ImageFileDirectory_v2(data[: 16 if _is_big(data) else 8])
    stream = io.BytesIO(data)
    stream.seek(offset or directory.next)
    directory.load(stream)
    return directory


def read_directories(data: bytes, first: ImageFileDirectory_v2) -> list[ImageFileDirectory_v2]:
    """Returns the directories of all pages, from the first one up to a broken link."""
    found, seen = [first], {first.offset}
    while (offset := found[-1].next) and offset not in seen and offset < len(data) and len(found) < _MOST_DIRECTORIES:
        seen.add(offset)
        directory = read_directory(data, offset)
        if IMAGEWIDTH not in directory:
            break
        found.append(directory)
    return found


def beginning_at(data: bytes, offset: int) -> bytes:
    """Returns the file with the directory at this offset as its first one."""
    order = "<" if data[:2] == b"II" else ">"
    if _is_big(data):
        return data[:8] + struct.pack(f"{order}Q", offset) + data[16:]
    return data[:4] + struct.pack(f"{order}L", offset) + data[8:]


def with_directory(data: bytes, tags: dict[int, tuple[int, ...]]) -> bytes:
    """Returns the file with a new directory, appended at its end, as its first one."""
    order, is_big = "<" if data[:2] == b"II" else ">", _is_big(data)
    head, entry, kind, room = ("Q", "HHQ", 16, "Q") if is_big else ("H", "HHL", 4, "L")
    data += b"\0" * (len(data) % 2)
    size = struct.calcsize(f"{order}{head}") + len(tags) * struct.calcsize(f"{order}{entry}{room}") + struct.calcsize(f"{order}{room}")
    entries, arrays = [], b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{room}", *values)
        if len(values) > 1:
            arrays, packed = arrays + packed, struct.pack(f"{order}{room}", len(data) + size + len(arrays))
        entries.append(struct.pack(f"{order}{entry}", tag, kind, len(values)) + packed)
    directory = struct.pack(f"{order}{head}", len(tags)) + b"".join(entries) + struct.pack(f"{order}{room}", 0) + arrays
    return beginning_at(data + directory, len(data))


def _is_big(data: bytes) -> bool:
    return data[2] == 43
