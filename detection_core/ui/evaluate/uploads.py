"""Visitors' annotated images: an archive or the files of a folder become a data set that refers to nothing else on the server."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detection_core.datasets.coco import CocoDataset, DataError
from detection_core.datasets.sources import parts_of, read_dataset, unpacked
from detection_core.ui.components.client_values import mapping_of
from detection_core.ui.shared.uploads import image_name, uploaded_path

# As many as COCO's val2017 and its labels.
MOST_FILES = 20_000
_MOST_BYTES = 4 * 2**30
_YAML_PATHS = ("train", "val", "test")
_GONE = "The upload is no longer on the server. Choose the data again."


@dataclass(frozen=True)
class UploadedFile:
    """A file that a visitor has uploaded.

    Attributes:
        path: The file on the server.
        name: The visitor's name of it, in a folder as a relative path.
    """

    path: Path
    name: str


def uploaded_files(sent: object) -> list[UploadedFile]:
    """Reads what a browser says it has uploaded.

    Args:
        sent: A list of objects with `path` and `name`.

    Raises:
        DataError: If there are none or too many, or one is not an upload.
    """
    entries = sent if isinstance(sent, list) else []
    if not entries:
        raise DataError("No file was uploaded. Choose a zip archive or a folder.")
    if len(entries) > MOST_FILES:
        raise DataError(f"The folder has more than {MOST_FILES:,} files. Pack it as a zip archive, or evaluate on a part of it.")
    files = []
    for entry in entries:
        values = mapping_of(entry)
        path = uploaded_path(values.get("path"))
        if path is None:
            raise DataError(_GONE)
        files.append(UploadedFile(path, image_name(values.get("name"), path)))
    return files


@dataclass(frozen=True)
class UploadedData:
    """What uploads contain.

    Attributes:
        dataset: The data, or the part of it that was read.
        parts: Names of all parts; empty if there is only one.
        part: The one that was read.
    """

    dataset: CocoDataset
    parts: tuple[str, ...] = ()
    part: str = ""


def read_uploads(files: Sequence[UploadedFile], folder: Path, stack: ExitStack, part: str = "") -> UploadedData:
    """Reads the data of an archive, of an uploaded folder, or of a single annotation file.

    Args:
        files: The uploads.
        folder: An empty folder for unpacked files.
        stack: Deletes what is unpacked when it is closed.
        part: Name of the part to read; the usual one is read if there is none of that name.

    Raises:
        DataError: If the data cannot be used.
    """
    first = files[0]
    if len(files) == 1 and first.name.lower().endswith(".zip"):
        _require_few(first.path)
        inside = stack.enter_context(unpacked(_named(first.path, folder), within=folder, most_bytes=_MOST_BYTES))
    else:
        inside = folder / "data"
        for file in files:
            _link(file.path, inside / file.name)
    try:
        _require_inside(inside)
        parts = parts_of(inside)
        chosen = next((each for each in parts if each.name == part), parts[0] if parts else None)
        dataset = read_dataset(chosen.source, split=chosen.split) if chosen else read_dataset(inside)
    except DataError as error:
        raise DataError(_without_server_paths(str(error), inside)) from error
    for image in dataset.images:
        if not _is_inside(image.path, inside):
            raise DataError(f"The annotations refer to “{image.file_name}”, which is outside of the data. Put all images into it.")
    return UploadedData(dataset, tuple(each.name for each in parts), chosen.name if chosen else "")


def _named(archive: Path, folder: Path) -> Path:
    """The archive under a name that ends with .zip, whatever Gradio has called it."""
    if archive.suffix.lower() == ".zip":
        return archive
    target = folder / "data.zip"
    _link(archive, target)
    return target


def _require_few(archive: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            number = len(opened.infolist())
    except (zipfile.BadZipFile, OSError):
        # Unpacking says what is wrong.
        return
    if number > 2 * MOST_FILES:
        raise DataError(f"The archive has more than {2 * MOST_FILES:,} files. Evaluate on a part of them.")


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise DataError(f"The folder cannot be used ({error.strerror}). Pack it as a zip archive.") from None


def _require_inside(folder: Path) -> None:
    """Checks that descriptions of YOLO's data name no place outside of the folder: they could make the server read its own files.

    A “path” outside is where the data was on the visitor's machine, which may be this one. It is left out, as if it were not there.
    """
    for source in (path for pattern in ("*.yaml", "*.yml") for path in folder.rglob(pattern)):
        try:
            data = mapping_of(yaml.safe_load(source.read_text("utf-8-sig")))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, OSError):
            # Reading the data says what is wrong.
            continue
        root = data.get("path")
        if isinstance(root, str) and not _is_inside(source.parent / root, folder):
            # Another file: this one may be a link to the upload.
            source.unlink()
            source.write_text(yaml.safe_dump({name: value for name, value in data.items() if name != "path"}), "utf-8")
            root = None
        roots = [source.parent, source.parent / root] if isinstance(root, str) else [source.parent]
        values = [value for name in _YAML_PATHS for value in _listed(data.get(name))]
        for value in values:
            if any((place / value).exists() and not _is_inside(place / value, folder) for place in roots):
                raise DataError(f"{source.name} names “{value}”, which is outside of the data. Use paths relative to {source.name}.")


def _listed(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _without_server_paths(message: str, folder: Path) -> str:
    """The message with paths as the visitor knows them."""
    return message.replace(f"{folder}/", "").replace(str(folder), "the data")
