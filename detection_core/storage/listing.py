"""Finds the images below addresses in object storage and in Parquet files, without reading them."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from detection_core.images.formats import READABLE
from detection_core.inputs import ANNOTATED, ENDINGS, InputFile, natural
from detection_core.storage.addresses import StorageError, below, explained, is_address, locate, public_name, require_pyarrow
from detection_core.storage.parquet import ENDING, Columns, list_rows
from detection_core.storage.places import safe_place


def is_stored(name: str) -> bool:
    """Returns whether a name is an address, a Parquet file, or a local folder with Parquet files and without images."""
    if is_address(name) or _is_parquet(name):
        return True
    found = False
    for _, folders, files in os.walk(name):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        # Results may be in the same folder.
        if any(PurePosixPath(file).suffix.lower() in ENDINGS and not file.endswith(ANNOTATED) for file in files):
            return False
        found = found or any(map(_is_parquet, files))
    return found


def find_stored(names: Sequence[str], wanted: Columns) -> list[InputFile]:
    """Finds the images for a list of names.

    Args:
        names: Each is the address of a file or folder, a Parquet file, a pattern for these, or a folder with them. Of folders, all
            images are meant, or, if there are none, the rows of all Parquet files; hidden files and the annotated images of earlier
            runs are left out.
        wanted: The columns of Parquet files that the user names.

    Returns:
        Each image once, in the order of the names; those of a folder are in natural order. `path` is an address, in rows with "#", the
        number of the row group, and that of the row in it.

    Raises:
        StorageError: If something cannot be read, or has no image.
    """
    require_pyarrow()
    found: dict[str, InputFile] = {}
    seen: set[str] = set()
    for name in names:
        for address in [name] if is_address(name) else _local_addresses(name):
            for image in _find(address, wanted, seen):
                found.setdefault(image.path, image)
    return list(found.values())


def _local_addresses(name: str) -> list[str]:
    paths = [name] if Path(name).exists() else sorted(glob.glob(name, recursive=True), key=natural) or [name]  # noqa: PTH207
    return [Path(path).absolute().as_uri() for path in paths]


def _find(address: str, wanted: Columns, seen: set[str]) -> Iterator[InputFile]:
    from pyarrow.fs import FileType

    title = public_name(address)
    system, path = locate(address)
    with explained(address):
        kind = system.get_file_info(path.rstrip("/")).type
        bucket = path.partition("/")[0]
        if kind == FileType.NotFound and bucket and system.get_file_info(bucket).type == FileType.NotFound:
            raise StorageError(f"There is no bucket “{bucket}”. Check its name and the endpoint.")
    if kind == FileType.NotFound:
        raise StorageError(f"There is nothing at “{title}”. Check the address.")
    if kind == FileType.File:
        if _is_parquet(path):
            yield from _rows({PurePosixPath(path).name: address}, wanted, title, seen)
        else:
            yield InputFile(address, title, safe_place(PurePosixPath(path).name))
        return
    listed = _visible_files(system, path.rstrip("/"), address)
    if images := [name for name in listed if _is_image(name, listed)]:
        yield from (InputFile(below(address, name), name, safe_place(name)) for name in sorted(images, key=natural))
        return
    files = {name: below(address, name) for name in sorted(filter(_is_parquet, listed), key=natural)}
    if not files:
        raise StorageError(f"There is no {READABLE} file and no Parquet file below “{title}”.")
    yield from _rows(files, wanted, title, seen)


def _rows(files: dict[str, str], wanted: Columns, title: str, seen: set[str]) -> Iterator[InputFile]:
    empty = True
    for name, address in files.items():
        stem = name.removesuffix(ENDING)
        # Files in several folders may have the same name.
        stems = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        free = next(each for each in stems if each.casefold() not in seen)
        seen.add(free.casefold())
        for image in list_rows(address, free, wanted, seen):
            empty = False
            yield image
    if empty:
        raise StorageError(f"The Parquet files of “{title}” have no rows.")


def _visible_files(system: Any, folder: str, address: str) -> set[str]:
    from pyarrow.fs import FileSelector, FileType

    with explained(address):
        found = system.get_file_info(FileSelector(folder, recursive=True))
    names = (info.path[len(folder) + 1 :] for info in found if info.type == FileType.File)
    return {name for name in names if not any(part.startswith(".") for part in name.split("/"))}


def _is_image(name: str, listed: set[str]) -> bool:
    annotated = name.endswith(ANNOTATED) and f"{name.removesuffix('.png')}.json" in listed
    return PurePosixPath(name).suffix.lower() in ENDINGS and not annotated


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(ENDING)
