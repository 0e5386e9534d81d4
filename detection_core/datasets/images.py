"""Reads images as they are stored, so that annotations match, in the same way for training, evaluation and checks."""

from __future__ import annotations

import math

from PIL import Image

from detection_core.datasets.annotation_checks import Problem
from detection_core.datasets.coco import AnnotatedImage
from detection_core.datasets.normalization import one_line
from detection_core.images.modes import orientation_of, to_rgb


def read_upright(image: AnnotatedImage) -> Image.Image:
    """Reads an image's stored pixels as 8-bit RGB, in any format and size that Pillow reads, and ignores its EXIF orientation.

    Raises:
        OSError: If the image cannot be read.
    """
    with Image.open(image.path) as opened:
        return to_rgb(opened)[0]


def read_part(image: AnnotatedImage, part: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Reads a part of the result of `read_upright`, scaled.

    Args:
        image: The image.
        part: (left, top, right, bottom) in its pixels.
        size: (width, height) of the result in pixels.

    Raises:
        OSError: If the image cannot be read.
    """
    scale = size[0] / (part[2] - part[0]), size[1] / (part[3] - part[1])
    with Image.open(image.path) as opened:
        # A large JPEG is decoded at a half, quarter or eighth of its size if that suffices.
        drafted = opened.draft("RGB", (math.ceil(image.size[0] * scale[0]), math.ceil(image.size[1] * scale[1])))
        shrunk = drafted[1][2] / image.size[0] if drafted else 1.0
        rgb, _ = to_rgb(opened)
    left, top, right, bottom = (side * shrunk for side in part)
    return rgb.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def image_problem(image: AnnotatedImage) -> Problem | None:
    """Returns why an image's file cannot be read or does not match its annotations; None if it does."""
    if unnamed := _name_problem(image):
        return unnamed
    try:
        with Image.open(image.path) as opened:
            size = opened.size
            # A JPEG is read to its end, but only an eighth of its pixels is computed.
            opened.draft("RGB", (1, 1))
            opened.load()
            orientation = orientation_of(opened)
    except FileNotFoundError:
        return "its image file is missing", "Put the file into images/, or remove the image from the annotations"
    except Exception as error:  # Pillow's readers raise nearly any exception on broken files.
        return f"its image cannot be read ({error})".replace(f" {str(image.path)!r}", ""), "Replace the file by an intact JPEG or PNG"
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
    """Why an image's file name cannot be that of one file."""
    if image.several:
        files = ", ".join(map(one_line, image.several[:3]))
        return f"its file name does not tell which file it is ({files} may be meant)", "Write the path below images/ into file_name"
    try:
        if image.path.is_dir():
            return "its file name is empty, or that of a folder", "Write the image's name into file_name, or remove it from the annotations"
        image.path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return f"no file can have its name ({why})", "Save the image under a shorter and simpler name, and write that into file_name"
    return None
