"""Reads images as they are stored, so that annotations match, in the same way for training, evaluation and checks."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from detection_core.datasets.annotation_checks import Problem
from detection_core.datasets.coco import AnnotatedImage
from detection_core.datasets.normalization import one_line
from detection_core.images.formats import HEAD_BYTES, identify
from detection_core.images.limits import ImageError
from detection_core.images.modes import orientation_of, to_rgb
from detection_core.images.reading import read_stored


def read_upright(image: AnnotatedImage) -> Image.Image:
    """Reads an image's stored pixels as 8-bit RGB, in any format that the detector or Pillow reads, and ignores its EXIF orientation.

    Raises:
        ImageError: If the image cannot be read, or is not complete.
    """
    return _read(image.path, image.size).rgb


def read_part(image: AnnotatedImage, part: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Reads a part of the result of `read_upright`, scaled.

    Args:
        image: The image.
        part: (left, top, right, bottom) in its pixels.
        size: (width, height) of the result in pixels.

    Raises:
        ImageError: If the image cannot be read, or is not complete.
    """
    scale = size[0] / (part[2] - part[0]), size[1] / (part[3] - part[1])
    stored = _read(image.path, (math.ceil(image.size[0] * scale[0]), math.ceil(image.size[1] * scale[1])))
    left, top, right, bottom = (side * stored.scale for side in part)
    return stored.rgb.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))


class _Stored(NamedTuple):
    """An image's stored pixels, possibly smaller by `scale`; the (width, height) without that; and the EXIF orientation."""

    rgb: Image.Image
    scale: float
    size: tuple[int, int]
    orientation: int


def _read(path: Path, smallest: tuple[int, int]) -> _Stored:
    """Reads an image; a large JPEG is decoded at a half, quarter or eighth of its size if that is at least the smallest size."""
    # What fails here is read, or explained, below: Pillow refuses some files for their metadata, or because their last bytes are missing.
    with contextlib.suppress(Exception), path.open("rb") as file:
        known = identify(file.read(HEAD_BYTES))
        file.seek(0)
        # Pillow reads rare formats, too.
        if known in {"JPEG", None}:
            with Image.open(file) as opened:
                size = opened.size
                drafted = opened.draft("RGB", smallest)
                rgb, _ = to_rgb(opened)
                return _Stored(rgb, drafted[1][2] / size[0] if drafted else 1.0, size, orientation_of(opened))
    rgb, orientation = read_stored(path)
    return _Stored(rgb, 1.0, rgb.size, orientation)


def image_problem(image: AnnotatedImage) -> Problem | None:
    """Returns why an image's file cannot be read or does not match its annotations; None if it does."""
    if unnamed := _name_problem(image):
        return unnamed
    try:
        # A JPEG is read to its end, but only an eighth of its pixels is computed.
        _, _, size, orientation = _read(image.path, (1, 1))
    except ImageError as error:
        why = str(error).partition(". ")[0].rstrip(".")
        return f"its image cannot be used: {why[0].lower()}{why[1:]}", "Replace the file by an intact JPEG or PNG"
    if size != image.size:
        problem = f"its image is {size[0]} × {size[1]} pixels, but {image.size[0]} × {image.size[1]} are annotated"
        # Orientations 5 to 8 swap width and height.
        if orientation > 4 and size == image.size[::-1]:
            return problem, "Viewers rotate the image because of its EXIF orientation: save it upright, without that tag"
        return problem, "Use the image that was annotated, or scale its annotations and correct its width and height"
    if orientation != 1:
        problem = f"viewers show its image turned or mirrored (EXIF orientation {orientation}), but annotations count stored pixels"
        return problem, "Save it without the EXIF orientation, and see whether the annotations still fit"
    return None


def _name_problem(image: AnnotatedImage) -> Problem | None:
    """Returns why there is no file for an image's name, or not one."""
    if image.several:
        files = ", ".join(map(one_line, image.several[:3]))
        return f"its file name does not tell which file it is ({files} may be meant)", "Write the path below images/ into file_name"
    try:
        if image.path.is_dir():
            return "its file name is empty, or that of a folder", "Write the image's name into file_name, or remove it from the annotations"
        image.path.stat()
    except FileNotFoundError:
        return "its image file is missing", "Put the file among the images, or remove it from the annotations"
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return f"no file can have its name ({why})", "Save the image under a shorter and simpler name, and write that into file_name"
    return None
