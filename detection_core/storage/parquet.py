"""Images in Parquet files, one a row: lists the rows by their names, and reads the images of a row group."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import PurePosixPath
from typing import Any

from detection_core.inputs import ENDINGS, InputFile
from detection_core.storage.addresses import StorageError, explained, is_address, locate, public_name
from detection_core.storage.places import safe_place

ENDING = ".parquet"
# A column that is called so is the images' if several could be; one of these, in this order, has their names.
_IMAGE = "image"
_NAMES = ("file_name", "filename", "name", "path", "key", "__key__", "image_id", "id")
# Rows that are in memory at a time, and bytes that are read at a time: a row group may be as large as the file.
_ROWS = 8
_BUFFER_BYTES = 8 << 20
_EMPTY = "This row has no image: Parquet files have to contain the encoded images, not their paths."
_GONE = "This row is no longer in its file: it has changed meanwhile."


@dataclass(frozen=True)
class Columns:
    """The columns that the user names.

    Attributes:
        image: The column with the encoded images; None if the schema shows it.
        name: The column with their names; None if the schema shows it, or there is none.
    """

    image: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The columns of a file, as paths into its schema: "image.bytes" is a field of a column."""

    image: str
    name: str | None


def is_row(path: str) -> bool:
    """Returns whether the path of an image is a row of a Parquet file."""
    return is_address(path) and "#" in path


def row_group(path: str) -> str:
    """Returns what the paths of all rows of a row group have in common."""
    return path.rpartition("/")[0]


def choose_columns(schema: Any, wanted: Columns, title: str) -> Chosen:
    """Chooses the columns of images and names: those that the user names, or else those that can only be meant.

    Args:
        schema: The file's schema, from pyarrow.
        wanted: The columns that the user names.
        title: What messages call the file.

    Raises:
        StorageError: If a column does not exist, or it is not clear which one has the images.
    """
    listed = ", ".join(schema.names)
    for option, name in (("--image-column", wanted.image), ("--name-column", wanted.name)):
        if name is not None and name not in schema.names:
            raise StorageError(f"“{title}” has no column “{name}”: give {option} one of {listed}.")
    usable = {field.name: path for field in schema if (path := _bytes_in(field))}
    if wanted.image is not None and wanted.image not in usable:
        raise StorageError(f"The column “{wanted.image}” of “{title}” has no bytes: give --image-column another one of {listed}.")
    images = [wanted.image] if wanted.image else [_IMAGE] if _IMAGE in usable else list(usable)
    if not images:
        raise StorageError(f"“{title}” has no column with encoded images (bytes, or a struct with “bytes”): its columns are {listed}.")
    if len(images) > 1:
        raise StorageError(f"“{title}” has several columns that could be the images: give --image-column one of {', '.join(images)}.")
    names = [wanted.name] if wanted.name else [name for name in _NAMES if name in schema.names and _is_text(schema.field(name).type)]
    if not names and "." in usable[images[0]] and _has_path(schema.field(images[0]).type):
        names = [f"{images[0]}.path"]
    return Chosen(usable[images[0]], names[0] if names else None)


def list_rows(address: str, stem: str, wanted: Columns, seen: set[str]) -> Iterator[InputFile]:
    """Lists the rows of a file without reading the images.

    A row without a name is called by the file and its number, and these are put before a name that another row has: names are unique.

    Args:
        address: The address of the file.
        stem: What the rows are called by that have no name.
        wanted: The columns that the user names.
        seen: The names of rows so far, in the form for comparisons that ignore case; those of this file are added.

    Raises:
        StorageError: If the file cannot be read, or its columns do not show what is meant.
    """
    number = 0
    with _opened(address) as file:
        chosen = choose_columns(file.schema_arrow, wanted, public_name(address))
        for group in range(file.num_row_groups):
            for row, name in enumerate(_names(file, group, chosen)):
                name = name or f"{stem}/{number:06}"
                while name.casefold() in seen:
                    name = f"{stem}/{number:06}/{name}"
                seen.add(name.casefold())
                # Only the extension of an image is left out of the names of results: "scan.17" and "scan.18" are two.
                has_ending = PurePosixPath(name).suffix.lower() in ENDINGS
                yield InputFile(f"{address}#{group}/{row}", name, safe_place(name if has_ending else f"{name}.row"))
                number += 1


def read_rows(rows: Any, wanted: Columns) -> Iterator[Any]:
    """Reads the images of rows, a few at a time.

    Args:
        rows: A table of pyarrow's with the column `path`, in bytes; all rows of one or more row groups, in their order.
        wanted: The columns that the user names.

    Yields:
        Tables with all columns, `content`, the encoded image, and `reason`, which says why there is none.
    """
    for group, members in groupby(rows.to_pylist(), key=lambda row: row_group(os.fsdecode(row["path"]))):
        left, reason = iter(members), _GONE
        try:
            for contents in _contents(group, wanted):
                batch = list(islice(left, len(contents)))
                yield _table(batch, rows.schema, contents[: len(batch)])
        except StorageError as error:
            reason = str(error)
        if rest := list(left):
            yield _table(rest, rows.schema, [None] * len(rest), reason)


def _table(rows: list[dict[str, Any]], schema: Any, contents: list[bytes | None], reason: str = _EMPTY) -> Any:
    import pyarrow as pa

    reasons = ["" if content else reason for content in contents]
    table = pa.Table.from_pylist(rows, schema).append_column("content", pa.array(contents, pa.large_binary()))
    return table.append_column("reason", pa.array(reasons, pa.string()))


def _contents(group: str, wanted: Columns) -> Iterator[list[bytes | None]]:
    address, _, number = group.rpartition("#")
    with _opened(address) as file:
        chosen = choose_columns(file.schema_arrow, wanted, public_name(address))
        for batch in file.iter_batches(_ROWS, row_groups=[int(number)], columns=[chosen.image], use_threads=False):
            yield [_leaf(value) for value in batch.column(0).to_pylist()]


def _names(file: Any, group: int, chosen: Chosen) -> Iterator[str]:
    if chosen.name is None:
        yield from [""] * file.metadata.row_group(group).num_rows
        return
    for value in file.read_row_group(group, columns=[chosen.name]).column(0).to_pylist():
        leaf = _leaf(value)
        yield "" if leaf is None else str(leaf)


def _leaf(value: Any) -> Any:
    """Returns the value, or the one of a struct of which a single field was read."""
    return next(iter(value.values())) if isinstance(value, dict) else value


@contextmanager
def _opened(address: str) -> Iterator[Any]:
    from pyarrow.parquet import ParquetFile

    system, path = locate(address)
    with explained(address), system.open_input_file(path) as source:
        # With pre_buffer, whole row groups would be in memory.
        yield ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)


def _bytes_in(field: Any) -> str | None:
    """Returns the path of the bytes in a column, such as Hugging Face's struct of "bytes" and "path"; None if it has none."""
    from pyarrow import types

    if types.is_struct(field.type):
        place = field.type.get_field_index("bytes")
        return f"{field.name}.bytes" if place >= 0 and _is_bytes(field.type.field(place).type) else None
    return field.name if _is_bytes(field.type) else None


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_integer(kind))


def _has_path(struct: Any) -> bool:
    place = struct.get_field_index("path")
    return bool(place >= 0 and _is_text(struct.field(place).type))
