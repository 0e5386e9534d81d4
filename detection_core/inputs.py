"""Finds images and videos by names, folders and patterns, in natural order, and chooses names for the files of their results."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detection_core.errors import UserError
from detection_core.file_names import longest_name, shortened
from detection_core.images.formats import HEAD_BYTES, READABLE, identify, may_be_video

# Extensions of the formats in READABLE. They matter only in searches: a file that is named explicitly is read in any case.
ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".avif"}
# Extensions of videos. They matter for patterns, and for files whose content does not show what they are.
_VIDEO_ENDINGS = {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".divx", ".mpg", ".mpeg", ".mpe", ".m2v", ".vob"}
_VIDEO_ENDINGS |= {".ts", ".mts", ".m2ts", ".m2t", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg", ".mj2"}
# Suffixes of the command line's annotated images and videos; the JSON result with the same stem is beside each.
ANNOTATED = "_detections.png"
ANNOTATED_VIDEO = "_detections.mp4"
_PATTERN = re.compile(r"[*?\[]")

Identity = tuple[int, int]


class NoImagesError(UserError, ValueError):
    """Raised if a folder or pattern contains no image; the message names it and says what to do."""


@dataclass(frozen=True)
class InputFile:
    """An image or video to be read.

    Attributes:
        path: Path of the file.
        name: Its name in results: as the user gave it, or, if a search found it, its path within the searched folder, with "/".
        place: Its path within a folder of results: subfolders of searched folders are kept, all other folders are left out.
    """

    path: str
    name: str
    place: str


def find_images(names: Sequence[str]) -> list[InputFile]:
    """Finds the images for a list of names.

    Args:
        names: Each is a file, which is accepted in any case; a folder, searched recursively for files with an image's extension; or a
            pattern with `*`, `?`, `[...]` or `**` (folders at any depth), for shells that do not expand patterns. Links to folders
            are not followed; hidden files and the annotated images of earlier runs are found only by their names.

    Returns:
        Each image once, in the order of the names; the images of a folder or pattern are in natural order (2 before 10).

    Raises:
        NoImagesError: If a folder or pattern contains no image.
    """
    found: dict[Path, InputFile] = {}
    for name in names:
        for image in _find(name):
            found.setdefault(Path(image.path).absolute(), image)
    return list(found.values())


def find_videos(
    names: Sequence[str], *, gifs: bool = False, holds_video: Callable[[str], bool] = lambda path: False
) -> tuple[list[InputFile], list[str]]:
    """Finds the videos for a list of names.

    Args:
        names: As for `find_images`. Files that contain a video are videos, whatever their name, and so are other files and patterns with
            a video's extension; folders are searched for images only.
        gifs: Whether GIFs are videos.
        holds_video: Returns whether a file that is not an image contains a video.

    Returns:
        Each video once, in the order of the names; and all other names.

    Raises:
        NoImagesError: If a pattern matches no video.
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
        videos = _search(*_split(path), endings) if is_pattern else [InputFile(name, name, path.name)]
        if not videos:
            raise NoImagesError(f"No video matches “{name}”. Check the pattern and the folder.")
        for video in videos:
            found.setdefault(Path(video.path).absolute(), video)
    return list(found.values()), others


def is_gif(path: str | Path) -> bool:
    """Returns whether a file is a GIF, whatever its name."""
    return identify(_head(Path(path))) == "GIF"


def free_stems(
    files: Sequence[InputFile], folder: Path, inputs: Set[Identity], endings: Collection[str], taken: Collection[str] = ()
) -> dict[InputFile, str]:
    """Returns the stem of each file's results: its place, with a number if that is taken or a result would replace an input.

    A name that would be too long for the file system with an ending is shortened.

    Args:
        files: Images or videos.
        folder: The folder for results.
        inputs: All files that are read.
        endings: The ends of the names of result files.
        taken: Stems that are already used.
    """
    # Some file systems do not distinguish "A" from "a".
    used = {stem.casefold() for stem in taken}
    stems = {}
    room = longest_name(folder) - max(len(os.fsencode(ending)) for ending in endings)
    for file in files:
        place = PurePosixPath(file.place)
        # Of "..0", whose ending is ".0", a "." would be left, which is the folder's own name and not a file's.
        name = place.name if place.stem in {".", ".."} else place.stem
        for suffix in itertools.chain([""], (f"-{number}" for number in itertools.count(2))):
            candidate = str(place.parent / (shortened(name, room - len(suffix)) + suffix)) if name else suffix
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
    """Returns a file's first bytes, or none if it cannot be read: reading it later reports why."""
    try:
        # Reading from a pipe could wait forever.
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return b""


def _find(name: str) -> list[InputFile]:
    path = Path(name)
    is_folder, exists = _status(path)
    if is_folder:
        found, message = _search(path, "**/*"), f"The folder “{name}” contains no {READABLE} file."
    elif _PATTERN.search(name) and not exists:
        found, message = _search(*_split(path)), f"No {READABLE} file matches “{name}”. Check the pattern and the folder."
    else:
        return [InputFile(name, name, path.name)]
    if not found:
        raise NoImagesError(message)
    return found


def _status(path: Path) -> tuple[bool, bool]:
    """Returns whether the path is a folder, and whether it exists."""
    try:
        return path.is_dir(), path.exists()
    except OSError:  # The name is too long or the folder is not accessible, which is reported when the file is read.
        return False, True


def _split(pattern: Path) -> tuple[Path, str]:
    """Splits a pattern into the folders before its first wildcard, and the rest."""
    plain = next(index for index, part in enumerate(pattern.parts) if _PATTERN.search(part))
    return Path(*pattern.parts[:plain]), str(Path(*pattern.parts[plain:]))


def _search(folder: Path, pattern: str, endings: Set[str] = frozenset(ENDINGS)) -> list[InputFile]:
    try:
        named = {path.relative_to(folder).as_posix(): path for path in folder.glob(pattern) if _is_one(path, endings)}
    except ValueError as error:
        raise NoImagesError(f"The pattern “{pattern}” is not valid: {error}.") from error
    visible = [name for name in named if not any(part.startswith(".") for part in name.split("/"))]
    return [InputFile(str(named[name]), name, name) for name in sorted(visible, key=natural)]


def _is_one(path: Path, endings: Set[str]) -> bool:
    annotated = path.name.endswith((ANNOTATED, ANNOTATED_VIDEO)) and path.with_suffix(".json").exists()
    return path.suffix.lower() in endings and not annotated and path.is_file()


def identity(path: Path) -> Identity | None:
    """Returns a value that identifies a file regardless of its name and of links to it; None if the file does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def natural(name: str) -> list[tuple[tuple[int, int, str], ...]]:
    """Returns a key for natural sorting: "b/2.jpg" before "b/10.jpg", ignoring case."""
    return [tuple(_rank(run) for run in re.findall(r"\d+|\D+", part)) for part in name.split("/")]


def _rank(run: str) -> tuple[int, int, str]:
    return (0, int(run), run) if run.isdecimal() else (1, 0, run.casefold())
