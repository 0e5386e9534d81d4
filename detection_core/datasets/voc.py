"""Reads Pascal VOC's XML files (of the devkit, LabelImg, CVAT, Roboflow) as the data set that COCO's format gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.datasets.coco_json import DataError, Malformed
from detection_core.datasets.image_files import stored_size
from detection_core.datasets.normalization import Entry, name_problem, one_line
from detection_core.detections.coco_names import BACKGROUND

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".JPG", ".JPEG", ".PNG")


class _Object(NamedTuple):
    """An object as it is written."""

    name: str
    sides: tuple[float, float, float, float]
    is_difficult: bool


@dataclass(frozen=True)
class _File:
    """An XML file: its image, and either its objects or where they cannot be used."""

    path: Path
    image: Path
    size: tuple[int, int]
    objects: tuple[_Object, ...]
    problems: tuple[tuple[int, str], ...]


def read_voc(source: Path) -> CocoDataset:
    """Reads all XML files in `Annotations/` or, without that, in the folder itself and those below it.

    Pixels count from 1 in Pascal VOC, and `xmax` belongs to the object. Some tools count from 0: that is assumed for all files if any box
    has a side at 0 or between two pixels. Objects marked as difficult are neither to be found nor wrong, as in Pascal VOC's own evaluation.

    Args:
        source: A folder.

    Returns:
        Images in the order of the XML files, with ids from 1; classes in alphabetical order. Objects that cannot be used are `malformed`.

    Raises:
        DataError: If there are no XML files of annotations, or one cannot be read.
    """
    folder = source / "Annotations" if (source / "Annotations").is_dir() else source
    files = [file for path in sorted(folder.rglob("*.xml")) if (file := _read(path, source)) is not None]
    if not files:
        raise DataError(f"There are no annotations in {folder}: no XML file has an <annotation>. Give a folder in Pascal VOC's format.")
    names = sorted({each.name for file in files for each in file.objects})
    if not names:
        raise DataError(f"The XML files in {folder} have no objects, and so no classes. Annotate some.")
    sides = [side for file in files for each in file.objects for side in each.sides]
    first = 0 if any(not side.is_integer() for side in sides) or min(sides) <= 0 else 1
    notes = [] if first else ["Pixels are taken to count from 0, because a box begins at 0 or between two pixels."]
    difficult = sum(each.is_difficult for file in files for each in file.objects)
    if difficult:
        notes.append(f"{difficult} object{'s are' if difficult != 1 else ' is'} marked as difficult, and not evaluated.")
    images, malformed, numbers = [], [], iter(range(1, 1 + sum(len(file.objects) for file in files)))
    for image_id, file in enumerate(files, 1):
        entries = [
            {"id": next(numbers), "image_id": image_id, "category_id": names.index(each.name) + 1, **_entry(each, first)}
            for each in file.objects
        ]
        place = one_line(file.path.relative_to(source).as_posix())
        malformed += [
            Malformed("annotations", number, image_id, problem, place=f"{place}, object {number}") for number, problem in file.problems
        ]
        images.append(
            AnnotatedImage(
                id=image_id,
                path=file.image,
                size=file.size,
                annotations=tuple(entry for entry in entries if not entry["iscrowd"]),
                crowds=tuple(entry for entry in entries if entry["iscrowd"]),
                has_masks=not entries,
                partial=bool(entries) and all(entry["iscrowd"] for entry in entries),
                file_name=file.image.name,
            )
        )
    return CocoDataset(tuple(images), (BACKGROUND, *names), tuple(range(len(names) + 1)), malformed=tuple(malformed), notes=tuple(notes))


def _entry(each: _Object, first: int) -> Entry:
    x0, y0, x1, y1 = each.sides
    box = [x0 - first, y0 - first, x1 - x0 + first, y1 - y0 + first]
    return {"bbox": box, "area": math.prod(box[2:]), "iscrowd": int(each.is_difficult)}


def _read(path: Path, source: Path) -> _File | None:
    """Reads a file; returns None if it is XML of another kind."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError, LookupError) as error:
        raise DataError(f"{path} is not valid XML ({one_line(str(error))}). Export the annotations again, or remove the file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Check that you may read it.") from None
    if root.tag != "annotation":
        return None
    image = _image(path, _text(root, "filename"), source)
    objects, problems = [], []
    for number, element in enumerate(root.iter("object"), 1):
        try:
            objects.append(_object(element))
        except ValueError as error:
            problems.append((number, str(error)))
    return _File(path, image, _size(root, image), tuple(objects), tuple(problems))


def _object(element: ElementTree.Element) -> _Object:
    name = _text(element, "name")
    if problem := name_problem(name):
        raise ValueError(f"it {problem}")
    box = element.find("bndbox")
    texts = ["" if box is None else _text(box, side) for side in _SIDES]
    try:
        xmin, ymin, xmax, ymax = map(float, texts)
    except ValueError:
        raise ValueError(f"its <bndbox> must have the numbers {', '.join(_SIDES)}") from None
    if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
        raise ValueError("its <bndbox> has a number that is not finite")
    return _Object(name, (xmin, ymin, xmax, ymax), _text(element, "difficult") in ("1", "true", "True"))


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _size(root: ElementTree.Element, image: Path) -> tuple[int, int]:
    """The annotated size, or that of the file where the annotations do not have it."""
    size = root.find("size")
    try:
        width, height = (int(float(_text(size, side))) for side in ("width", "height")) if size is not None else (0, 0)
    except ValueError:
        width = height = 0
    # Why a file cannot be read is found when images are checked.
    return (width, height) if width > 0 and height > 0 else stored_size(image) or (1, 1)


def _image(path: Path, name: str, source: Path) -> Path:
    """The image of an XML file: the one that it names or, since files are renamed, the one of its own name."""
    named = name.replace("\\", "/").rpartition("/")[2]
    found = (place for place in _places(path, named, source) if place.is_file())
    return next(found, source / "JPEGImages" / (named or f"{path.stem}.jpg"))


def _places(path: Path, named: str, source: Path) -> Iterator[Path]:
    names = [named] if named else []
    for name in [*names, *(path.stem + suffix for suffix in _SUFFIXES)]:
        for folder in (
            path.parent,
            path.parent.parent / "JPEGImages",
            path.parent.parent / "images",
            source / "JPEGImages",
            source / "images",
        ):
            yield folder / name
