"""Finds annotation files in a folder laid out as COCO's or by a common tool, and the folders of their images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from detection_core.datasets.coco_json import DataError

Split = Literal["train", "val", "test"]
# The first that is there is measured, unless the user chooses another.
PREFERRED: tuple[Split, ...] = ("val", "test", "train")
# This project's name, and Roboflow's.
COCO_FILES = ("annotations.json", "_annotations.coco.json")
# FiftyOne's, with images in data/, and Label Studio's.
_OTHER_FILES = ("labels.json", "result.json")
_KIND = re.compile(r"(instances|person_keypoints)_(.+)")
_SPLIT = re.compile(r"train|val|test", re.IGNORECASE)
# COCO's files without boxes.
_WITHOUT_BOXES = ("captions_", "image_info_", "panoptic_", "stuff_")
# Names in a message.
_SHOWN = 4


class AnnotationFile(NamedTuple):
    """An annotation file of a folder.

    Attributes:
        path: The file.
        split: The part of the data that it describes, by its name; None if the name does not say.
        has_keypoints: Whether it is one of COCO's files of persons with keypoints.
    """

    path: Path
    split: Split | None = None
    has_keypoints: bool = False


def annotation_files(folder: Path) -> list[AnnotationFile]:
    """Lists the annotation files of a folder, the one that is read unless the user chooses another first.

    That is `annotations.json` or `_annotations.coco.json` alone, if it is there. Otherwise those of COCO (`instances_val2017.json` or
    `person_keypoints_val2017.json`, in `annotations/` or in the folder itself; without such, any in `annotations/`), of Roboflow
    (`valid/_annotations.coco.json`), or that of FiftyOne or Label Studio (`labels.json`, `result.json`).

    Args:
        folder: A folder.
    """
    for name in COCO_FILES:
        if (folder / name).is_file():
            return [AnnotationFile(folder / name)]
    inner = [path for path in sorted((folder / "annotations").glob("*.json")) if not path.name.startswith(_WITHOUT_BOXES)]
    paths = [path for path in (*inner, *sorted(folder.glob("*.json"))) if _KIND.fullmatch(path.stem)] or inner
    paths = paths or sorted(folder.glob(f"*/{COCO_FILES[1]}")) or [folder / name for name in _OTHER_FILES if (folder / name).is_file()]
    files = [AnnotationFile(path, _split_of(path), path.name.startswith("person_keypoints_")) for path in paths]
    return sorted(files, key=_preference)


def choose_annotations(folder: Path, *, split: Split | None = None, usual: Split = "val", keypoints: bool = False) -> tuple[Path, str]:
    """Chooses an annotation file of a folder.

    Args:
        folder: A folder.
        split: The part that must be read; None for any.
        usual: The part to read if any may be, and it is there.
        keypoints: Whether keypoints are needed, so that COCO's file of persons is read.

    Returns:
        The file, and a sentence about the others; "" if there are none. Without any file, the path of `annotations.json`.

    Raises:
        DataError: If the folder has files, but none of the part that must be read.
    """
    files = annotation_files(folder)
    if not files:
        return folder / COCO_FILES[0], ""
    left = [file for file in files if split in (None, file.split)]
    if not left:
        given = ", ".join(sorted({file.split for file in files if file.split})) or "none"
        raise DataError(f"{folder} has no annotations for “{split}”. Its parts are: {given}. Choose one of them, or give the file itself.")
    chosen = min(left, key=lambda file: (file.has_keypoints != keypoints, split is None and file.split != usual))
    others = [_shown(file.path, folder) for file in files if file is not chosen]
    others = [*others[:_SHOWN], *([f"{len(others) - _SHOWN} more"] if len(others) > _SHOWN else [])]
    return chosen.path, f"The annotations in {_shown(chosen.path, folder)} are read. Also there: {', '.join(others)}." if others else ""


def image_folders(file: Path) -> tuple[Path, ...]:
    """Returns where images of an annotation file may be besides `images/` and the file's own folder, the likeliest first.

    Those of `annotations/instances_val2017.json` are in `val2017/`, `images/val2017/` or `images/`, beside `annotations/`.

    Args:
        file: An annotation file.
    """
    is_inside = file.parent.name.lower() == "annotations"
    base = file.parent.parent if is_inside else file.parent
    kind = _KIND.fullmatch(file.stem)
    name = kind[2] if kind else file.stem
    usual = [base / name, base / "images" / name, base / "images", base / "data"]
    there = [place for place in usual if place != file.parent / "images" and place.is_dir()]
    return tuple(there or (usual[:1] if is_inside else []))


def _split_of(path: Path) -> Split | None:
    """The part that is named by a file or, as Roboflow does, by its folder."""
    found = _SPLIT.search(path.parent.name if path.name in COCO_FILES else path.stem)
    return next((split for split in PREFERRED if found and found[0].lower() == split), None)


def _preference(file: AnnotationFile) -> tuple[bool, int, str]:
    return file.has_keypoints, PREFERRED.index(file.split) if file.split else len(PREFERRED), file.path.name


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
