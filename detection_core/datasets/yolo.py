"""Reads YOLO labels (boxes, polygons or keypoints, with Ultralytics' data.yaml) as the data set that COCO's format gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.datasets.coco_json import DataError, Malformed
from detection_core.datasets.coco_layout import PREFERRED, Split
from detection_core.datasets.image_files import stored_size
from detection_core.datasets.normalization import Entry, one_line
from detection_core.detections.coco_names import BACKGROUND, COCO_KEYPOINTS

_BOX = 5


def read_yolo(source: Path, *, split: Split | None = None) -> CocoDataset:
    """Reads images and labels as Ultralytics does: a label file is in `labels/` where its image is in `images/`, or beside it.

    Args:
        source: `data.yaml`.
        split: The part to read; None for `val`, or else `test` or `train`.

    Returns:
        Images in the order of their paths, with ids from 1. An image without a label file shows no object. Lines that cannot be used are
        `malformed`. Classes have the ids 1 to N in the order of their numbers, as in the results files that Ultralytics writes.

    Raises:
        DataError: If the file is not usable, or no image has a label file.
    """
    data = _parsed(source)
    names = _names(source, data)
    chosen = split or next((each for each in PREFERRED if data.get(each)), None)
    if chosen is None or not data.get(chosen):
        given = ", ".join(each for each in PREFERRED if data.get(each)) or "none"
        raise DataError(f"{source} names no images for “{split or 'val'}”, only for: {given}. Add a line such as “val: images”.")
    root = _root(source, data)
    paths = sorted(set(_images(source, root, data[chosen])))
    if not paths:
        raise DataError(f"{source}: there are no images in “{one_line(str(data[chosen]))}”. Correct the line “{chosen}”.")
    keypoints = _Keypoints.of(source, data)
    reader = _LabelReader(root, names, keypoints)
    images = tuple(reader.read(number, path) for number, path in enumerate(paths, 1))
    if not reader.files:
        raise DataError(
            f"None of the {len(paths)} images has a label file, such as {_shown(_labels_of(paths[0]), root)}. Put the labels into labels/ "
            "beside images/."
        )
    notes = (
        [f"The images of “{chosen}” in {source.name} are read."] if split is None and sum(bool(data.get(s)) for s in PREFERRED) > 1 else []
    )
    without = len(paths) - reader.files
    if without:
        notes.append(f"{without} image{'s have' if without != 1 else ' has'} no label file, and thus no objects.")
    return CocoDataset(
        images=images,
        categories=(BACKGROUND, *names),
        category_ids=tuple(range(len(names) + 1)),
        keypoint_names=keypoints.names,
        malformed=tuple(reader.malformed),
        notes=tuple(notes),
    )


def yolo_splits(source: Path) -> list[Split]:
    """Lists the parts for which data names images, the one that is read unless the user chooses another first.

    Args:
        source: `data.yaml`.

    Raises:
        DataError: If the file is not usable.
    """
    data = _parsed(source)
    return [split for split in PREFERRED if data.get(split)]


def _parsed(source: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(source.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"There is no {source}. Give a folder with data.yaml, or the file itself.") from None
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error.strerror}). Check that it is a file and that you may read it.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source} is not valid YAML ({one_line(str(error))}). Export the data again.") from None
    if not isinstance(data, dict):
        raise DataError(f"{source} is YAML but not the description of a data set: it must have “names” and “val”.")
    return data


def _names(source: Path, data: dict[str, Any]) -> list[str]:
    names, count = data.get("names"), data.get("nc")
    if names is None and isinstance(count, int) and 0 < count < 10_000:
        return [f"class {number}" for number in range(count)]
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str | int | float) for name in names):
        raise DataError(f"{source}: “names” must list the classes, such as [person, dog] or 0: person. Name them.")
    texts = [str(name).strip() for name in names]
    if len(set(texts)) < len(texts) or "" in texts:
        raise DataError(f"{source}: the classes in “names” must have names that differ. Rename those that are equal or empty.")
    return texts


def _root(source: Path, data: dict[str, Any]) -> Path:
    """The folder to which paths are relative: "path", if it is there, or that of the file, because data sets are moved."""
    path = data.get("path")
    given = source.parent / path if isinstance(path, str) else source.parent
    return given if given.is_dir() else source.parent


def _images(source: Path, root: Path, value: Any) -> Iterator[Path]:
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, str):
            raise DataError(f"{source}: “{one_line(str(part))}” is not the path of a folder or a list of images.")
        place = _place(root, part)
        if place.is_file():
            for line in place.read_text("utf-8-sig").splitlines():
                if line.strip():
                    # As Ultralytics does: "./" stands for the folder of the list.
                    yield place.parent / line.strip() if line.startswith("./") else root / line.strip()
        elif place.is_dir():
            yield from (path for path in place.rglob("*") if path.suffix.lower() in known and path.is_file())
        else:
            raise DataError(f"{source}: there is no {place}. Correct “path” or the paths of the images.")


def _place(root: Path, part: str) -> Path:
    place = root / part
    # Roboflow writes "../valid/images" for what lies beside the file.
    return root / part[3:] if part.startswith("../") and not place.exists() else place


def _labels_of(image: Path) -> Path:
    folder, separator, name = image.as_posix().rpartition("/images/")
    return Path(f"{folder}/labels/{name}" if separator else image).with_suffix(".txt")


def _shown(path: Path, root: Path) -> str:
    return one_line(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name)


@dataclass(frozen=True)
class _Keypoints:
    """The keypoints of a pose data set: their names, and the numbers of each in a line (2 or 3)."""

    names: tuple[str, ...] = ()
    numbers: int = 3

    @classmethod
    def of(cls, source: Path, data: dict[str, Any]) -> _Keypoints:
        shape = data.get("kpt_shape")
        if shape is None:
            return cls()
        if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape) and shape[0] > 0 and shape[1] in (2, 3)):
            raise DataError(f"{source}: “kpt_shape” must be the number of keypoints and of the values of each, such as [17, 3].")
        given = data.get("kpt_names")
        listed = next(iter(given.values()), None) if isinstance(given, dict) else given
        if isinstance(listed, list) and len(listed) == shape[0] == len(set(map(str, listed))):
            return cls(tuple(map(str, listed)), shape[1])
        usual = COCO_KEYPOINTS if shape[0] == len(COCO_KEYPOINTS) else [f"keypoint {number}" for number in range(1, shape[0] + 1)]
        return cls(tuple(usual), shape[1])


@dataclass
class _LabelReader:
    """Reads the label files of images one after another.

    Attributes:
        files: How many label files there were.
        malformed: Lines that cannot be used.
    """

    root: Path
    names: list[str]
    keypoints: _Keypoints
    files: int = 0
    malformed: list[Malformed] = field(default_factory=list)
    _annotations: int = 0

    def read(self, image_id: int, path: Path) -> AnnotatedImage:
        size = stored_size(path) or (1, 1)  # Why it cannot be read is found when images are checked.
        entries = []
        labels = _labels_of(path)
        if labels.is_file():
            self.files += 1
            numbers: dict[str, int] = {}
            for number, line in enumerate(labels.read_text("utf-8-sig", errors="replace").splitlines(), 1):
                # As Ultralytics does, a line that is there twice is read once.
                if line.strip() and numbers.setdefault(line.strip(), number) == number:
                    entries.append(self._entry(line.split(), image_id, size, f"{_shown(labels, self.root)}, line {number}"))
        annotations = tuple(entry for entry in entries if entry is not None)
        masks = all("segmentation" in entry for entry in annotations)
        return AnnotatedImage(image_id, path, size, annotations, has_masks=masks, file_name=_shown(path, self.root))

    def _entry(self, fields: list[str], image_id: int, size: tuple[int, int], place: str) -> Entry | None:
        self._annotations += 1
        try:
            return {"id": self._annotations, "image_id": image_id, "iscrowd": 0, **self._values(fields, size)}
        except ValueError as error:
            self.malformed.append(Malformed("annotations", 0, image_id, str(error), place=place))
            return None

    def _values(self, fields: list[str], size: tuple[int, int]) -> Entry:
        try:
            values = np.array([float(text) for text in fields])
        except ValueError:
            raise ValueError(f"it is not a line of numbers (“{one_line(' '.join(fields))[:60]}”)") from None
        if not np.isfinite(values).all():
            raise ValueError("it has a number that is not finite")
        kind = values[0]
        if not kind.is_integer() or not 0 <= kind < len(self.names):
            raise ValueError(f"its class is {fields[0]}, but “names” has the numbers 0 to {len(self.names) - 1}")
        entry: Entry = {"category_id": int(kind) + 1}
        expected = _BOX + len(self.keypoints.names) * self.keypoints.numbers
        if self.keypoints.names and len(values) == expected:
            return entry | _box(values[1:_BOX], size) | self._pose(values[_BOX:], size)
        if len(values) == _BOX:
            return entry | _box(values[1:], size)
        if self.keypoints.names or len(values) < 7 or len(values) % 2 == 0:
            kinds = f"a box with keypoints has {expected}" if self.keypoints.names else "a polygon has an odd number from 7"
            raise ValueError(f"it has {len(values)} numbers, but a box has {_BOX} and {kinds}")
        return entry | _polygon(values[1:], size)

    def _pose(self, values: Any, size: tuple[int, int]) -> Entry:
        points = values.reshape(-1, self.keypoints.numbers)
        labeled = points[:, 2] if self.keypoints.numbers == 3 else np.where((points > 0).any(axis=1), 2, 0)
        triples = np.column_stack([points[:, :2] * size, labeled])
        return {"keypoints": triples.ravel().tolist(), "num_keypoints": int((labeled > 0).sum())}


def _box(values: Any, size: tuple[int, int]) -> Entry:
    _require_fractions(values)
    center, sides = values[:2] * size, values[2:] * size
    box = [*(center - sides / 2).tolist(), *sides.tolist()]
    return {"bbox": box, "area": math.prod(box[2:])}


def _polygon(values: Any, size: tuple[int, int]) -> Entry:
    _require_fractions(values)
    points = values.reshape(-1, 2) * size
    low, sides = points.min(axis=0), np.ptp(points, axis=0)
    x, y = points.T
    area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
    return {"bbox": [*low.tolist(), *sides.tolist()], "area": area, "segmentation": [points.ravel().tolist()]}


def _require_fractions(values: Any) -> None:
    # Boxes that leave the image by less than a pixel are clipped later.
    if values.min() < -0.1 or values.max() > 1.1:
        raise ValueError("its coordinates must be parts of the image's width and height, from 0 to 1")
