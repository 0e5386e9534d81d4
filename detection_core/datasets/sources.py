"""Reads annotated images in any format that is known, from a folder, a file or a zip archive."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from detection_core.datasets.coco import CocoDataset, read_coco
from detection_core.datasets.coco_json import DataError
from detection_core.datasets.coco_layout import COCO_FILES, Split, annotation_files
from detection_core.datasets.voc import read_voc
from detection_core.datasets.yolo import read_yolo, yolo_splits

_YOLO_FILES = ("data.yaml", "data.yml", "dataset.yaml")
# What archives have beside the data.
_JUNK = {"__MACOSX"}
_DEEPEST = 3
# Names in a message.
_SHOWN = 6
_MOST_BYTES = 20 * 2**30
_ADVICE = "Give a folder with COCO's annotations, YOLO's data.yaml with images/ and labels/, or Pascal VOC's XML files."


class Part(NamedTuple):
    """A part of a folder's data, such as COCO's `annotations/instances_val2017.json` or YOLO's `val`.

    Attributes:
        name: What people call it.
        source: What `read_dataset` takes.
        split: The part of the source; None if the source is the part.
    """

    name: str
    source: Path
    split: Split | None = None


def read_dataset(source: Path, *, split: Split | None = None, keypoints: bool = False) -> CocoDataset:
    """Reads annotations in COCO's, YOLO's or Pascal VOC's format; which one it is follows from the files.

    Args:
        source: A folder, or a file `.json` or `.yaml`. For an archive, see `unpacked`.
        split: The part of COCO's or YOLO's data to read; None for `val`, or else `test` or `train`.
        keypoints: Whether to prefer COCO's file of persons with keypoints to the one of all objects.

    Raises:
        DataError: If there is nothing of these formats, it cannot be used, or it has no such part.
    """
    if not source.exists():
        raise DataError(f"There is no {source}. {_ADVICE}")
    if source.is_file():
        if source.suffix.lower() == ".json":
            _require_whole(source, split)
            return read_coco(source)
        if source.suffix.lower() in (".yaml", ".yml"):
            return read_yolo(source, split=split)
        raise DataError(f"{source} is neither a folder nor a .json, .yaml or .zip file. {_ADVICE}")
    folder = _inner(source)
    if (description := _yolo_file(folder)) is not None:
        return read_yolo(description, split=split)
    if annotation_files(folder):
        return read_coco(folder, split=split, keypoints=keypoints)
    if next(folder.rglob("*.xml"), None) is not None:
        _require_whole(source, split)
        return read_voc(folder)
    raise DataError(f"There are no annotations in {source}. {_looked_for(folder)}")


def parts_of(source: Path) -> list[Part]:
    """Lists the parts of a folder's data, of which one is read at a time, the usual one first; empty if there is only one.

    Args:
        source: A folder.

    Raises:
        DataError: If the description of YOLO's data cannot be used.
    """
    folder = _inner(source)
    if (description := _yolo_file(folder)) is not None:
        parts = [Part(split, description, split) for split in yolo_splits(description)]
    else:
        parts = [Part(file.path.relative_to(folder).as_posix(), file.path) for file in annotation_files(folder)]
    return parts if len(parts) > 1 else []


@contextmanager
def unpacked(source: Path, *, within: Path | None = None, most_bytes: int | None = None) -> Iterator[Path]:
    """Unpacks an archive into a temporary folder for as long as the context lasts; anything else is given back as it is.

    Args:
        source: A `.zip` file, or what `read_dataset` takes.
        within: Where the temporary folder is made; None for the system's place.
        most_bytes: How large the contents may be; None for 20 GiB.

    Yields:
        What `read_dataset` takes.

    Raises:
        DataError: If the archive cannot be unpacked.
    """
    if source.suffix.lower() != ".zip" or not source.is_file():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="annotated-images-", dir=within) as folder:
        try:
            with zipfile.ZipFile(source) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
                free = shutil.disk_usage(folder).free
                if size > min(most_bytes or _MOST_BYTES, free):
                    raise DataError(
                        f"{source} takes {size / 2**30:.1f} GiB unpacked, which is too much. Unpack it yourself, and give the folder."
                    )
                # Names that lead out of the folder are changed by zipfile.
                archive.extractall(folder)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise DataError(f"{source} cannot be unpacked ({error}). Pack it again as a plain zip archive.") from None
        except OSError as error:
            raise DataError(f"{source} cannot be unpacked ({error.strerror}). Unpack it yourself, and give the folder.") from None
        yield Path(folder)


def _yolo_file(folder: Path) -> Path | None:
    """The description of YOLO's data, unless COCO's annotations are beside it."""
    if any((folder / name).is_file() for name in COCO_FILES):
        return None
    return next((folder / name for name in _YOLO_FILES if (folder / name).is_file()), None)


def _require_whole(source: Path, split: Split | None) -> None:
    if split is not None:
        raise DataError(f"{source} has no parts, so “{split}” cannot be chosen. Choose none.")


def _looked_for(folder: Path) -> str:
    """Says which files were looked for, and what is there instead."""
    entries = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir() if entry.name not in _JUNK)
    shown = [*entries[:_SHOWN], *([f"{len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else [])]
    return (
        f"Looked for {', '.join(COCO_FILES)} or annotations/instances_….json (COCO) and {', '.join(_YOLO_FILES)} (YOLO) in its top "
        f"folder, and for .xml files (Pascal VOC) in all folders. There is: {', '.join(shown) or 'nothing'}."
    )


def _inner(folder: Path) -> Path:
    """The folder with the annotations: archives often have all in one folder of their own."""
    for _ in range(_DEEPEST):
        entries = [entry for entry in folder.iterdir() if entry.name not in _JUNK and not entry.name.startswith(".")]
        if len(entries) != 1 or not entries[0].is_dir() or entries[0].name == "Annotations":
            break
        folder = entries[0]
    return folder
