"""Which images and videos are meant by names, folders and patterns, in the order in which people count, and what results are called."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detection_core.file_names import longest_name, shortened
from detection_core.images.formats import HEAD_BYTES, READABLE, identify, may_be_video

# Endings of the formats in READABLE. They matter only where files are looked for: what is named is read whatever it is called.
_ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif"}
# Of videos. They matter for patterns, and for files that do not show what they are.
_VIDEO_ENDINGS = {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".divx", ".mpg", ".mpeg", ".mpe", ".m2v", ".vob"}
_VIDEO_ENDINGS |= {".ts", ".mts", ".m2ts", ".m2t", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg", ".mj2"}
# What the command line calls its annotated images and videos; the result of the same name stands beside each.
ANNOTATED = "_detections.png"
ANNOTATED_VIDEO = "_detections.mp4"
_PATTERN = re.compile(r"[*?\[]")

Identity = tuple[int, int]


class NoImagesError(ValueError):
    """A folder or a pattern leads to no image; the message says which and what to do."""


@dataclass(frozen=True)
class InputFile:
    """An image or video to be read.

    Attributes:
        path: Where it is.
        name: What it is called in results: as it was named, or, where it was looked for, its path within the folder searched, with "/".
        place: Where its own files go within a folder of results: the folders searched are mirrored, all others left out.
    """

    path: str
    name: str
    place: str


def find_images(names: Sequence[str]) -> list[InputFile]:
    """Finds the images that are meant.

    Args:
        names: Each a file, taken whatever it is; a folder, searched with those in it for files with an image's ending; or a pattern of
            files with `*`, `?`, `[...]` or `**` (folders at any depth), for shells that leave patterns alone. Links to folders are
            not followed; hidden files and the annotated images of earlier runs are found only by their own names.

    Returns:
        Each image once, in the order of the names, and in natural order (2 before 10) where they were looked for.

    Raises:
        NoImagesError: If a folder or a pattern leads to nothing.
    """
    found: dict[Path, InputFile] = {}
    for name in names:
        for image in _meant_by(name):
            found.setdefault(Path(image.path).absolute(), image)
    return list(found.values())


def find_videos(
    names: Sequence[str], *, gifs: bool = False, holds_video: Callable[[str], bool] = lambda path: False
) -> tuple[list[InputFile], list[str]]:
    """Finds the videos that are meant.

    Args:
        names: As `find_images` takes them. Videos are files that hold one, whatever they are called, other files that end as videos do,
            and patterns that end so; what folders hold is images.
        gifs: Whether GIFs are videos.
        holds_video: Looks into a file that is no image.

    Returns:
        Each video once, in the order of the names; and all other names.

    Raises:
        NoImagesError: If a pattern leads to nothing.
    """
    endings = _VIDEO_ENDINGS | ({".gif"} if gifs else set())
    found: dict[Path, InputFile] = {}
    others = []
    for name in names:
        path = Path(name)
        is_folder, exists = _status(path)
        is_pattern = _PATTERN.search(name) and not exists
        if is_folder or not (path.suffix.lower() in endings if is_pattern else _is_video(path, endings, holds_video)):
            others.append(name)
            continue
        videos = _looked_for(*_split(path), endings) if is_pattern else [InputFile(name, name, path.name)]
        if not videos:
            raise NoImagesError(f"No video fits “{name}”. Check the pattern and the folder.")
        for video in videos:
            found.setdefault(Path(video.path).absolute(), video)
    return list(found.values()), others


def is_gif(path: str | Path) -> bool:
    """Whether a file is a GIF, whatever it is called."""
    return identify(_head(Path(path))) == "GIF"


def free_stems(
    files: Sequence[InputFile], folder: Path, inputs: Set[Identity], endings: Collection[str], taken: Collection[str] = ()
) -> dict[InputFile, str]:
    """What the names of each file's results begin with: its place, numbered where another has that or a result would lie on an input.

    A name that would be too long for the file system with an ending is shortened.

    Args:
        files: Images or videos.
        folder: Where results go.
        inputs: All files that are read.
        endings: What the names of results end with.
        taken: Beginnings that are not free.
    """
    # Some file systems do not tell "A" from "a".
    used = {stem.casefold() for stem in taken}
    stems = {}
    room = longest_name(folder) - max(len(os.fsencode(ending)) for ending in endings)
    for file in files:
        stem = PurePosixPath(file.place).with_suffix("") if file.place else PurePosixPath()
        for suffix in itertools.chain([""], (f"-{number}" for number in itertools.count(2))):
            candidate = str(stem.with_name(shortened(stem.name, room - len(suffix)) + suffix)) if stem.name else suffix
            written_to = {identity(folder / f"{candidate}{ending}") for ending in endings}
            if candidate.casefold() not in used and not written_to & inputs:
                break
        used.add(candidate.casefold())
        stems[file] = candidate
    return stems


def _is_video(path: Path, endings: Set[str], holds_video: Callable[[str], bool]) -> bool:
    head = _head(path)
    if form := identify(head):
        return form == "GIF" and ".gif" in endings
    return path.suffix.lower() in endings or (may_be_video(head) and holds_video(str(path)))


def _head(path: Path) -> bytes:
    """A file's first bytes; none where it cannot be read: who reads it later says why."""
    try:
        # A pipe would wait for ever.
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return b""


def _meant_by(name: str) -> list[InputFile]:
    path = Path(name)
    is_folder, exists = _status(path)
    if is_folder:
        found, otherwise = _looked_for(path, "**/*"), f"The folder “{name}” holds no {READABLE} file."
    elif _PATTERN.search(name) and not exists:
        found, otherwise = _looked_for(*_split(path)), f"No {READABLE} file fits “{name}”. Check the pattern and the folder."
    else:
        return [InputFile(name, name, path.name)]
    if not found:
        raise NoImagesError(otherwise)
    return found


def _status(path: Path) -> tuple[bool, bool]:
    """Whether it is a folder, and whether it is there."""
    try:
        return path.is_dir(), path.exists()
    except OSError:  # Too long, or in a folder that may not be looked into: who reads it says so.
        return False, True


def _split(pattern: Path) -> tuple[Path, str]:
    """The folders before the first part that is no plain name, and the rest."""
    plain = next(index for index, part in enumerate(pattern.parts) if _PATTERN.search(part))
    return Path(*pattern.parts[:plain]), str(Path(*pattern.parts[plain:]))


def _looked_for(folder: Path, pattern: str, endings: Set[str] = frozenset(_ENDINGS)) -> list[InputFile]:
    try:
        named = {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern) if _is_one(path, endings)}
    except ValueError as error:
        raise NoImagesError(f"The pattern “{pattern}” cannot be understood: {error}.") from error
    visible = [name for name in named if not any(part.startswith(".") for part in name.split("/"))]
    return [InputFile(str(named[name]), name, name) for name in sorted(visible, key=natural)]


def _is_one(path: Path, endings: Set[str]) -> bool:
    annotated = path.name.endswith((ANNOTATED, ANNOTATED_VIDEO)) and path.with_suffix(".json").exists()
    return path.suffix.lower() in endings and not annotated and path.is_file()


def identity(path: Path) -> Identity | None:
    """What tells a file from all others, whatever it is called and however it is linked to; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def natural(name: str) -> list[tuple[tuple[int, int, str], ...]]:
    """A key that sorts "b/2.jpg" before "b/10.jpg", and capitals among the others."""
    return [tuple(_rank(run) for run in re.findall(r"\d+|\D+", part)) for part in name.split("/")]


def _rank(run: str) -> tuple[int, int, str]:
    return (0, int(run), run) if run.isdecimal() else (1, 0, run.casefold())
