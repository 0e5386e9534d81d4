"""Reads photos as they are stored, so that annotations fit: the same for training, for measuring, and for the check before."""

from __future__ import annotations

import math

from PIL import Image

from detection_core.datasets.annotation_checks import Problem
from detection_core.datasets.coco import Photo
from detection_core.images.modes import orientation_of, to_rgb


def read_picture(photo: Photo) -> Image.Image:
    """A photo's stored pixels, 8-bit RGB, of any format and size that Pillow reads; an EXIF orientation does not turn them.

    Raises:
        OSError: If the picture cannot be read.
    """
    with Image.open(photo.path) as opened:
        return to_rgb(opened)[0]


def read_part(photo: Photo, part: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """A part of what `read_picture` gives, scaled.

    Args:
        photo: The photo.
        part: (left, top, right, bottom) in its pixels.
        size: (width, height) of the result in pixels.

    Raises:
        OSError: If the picture cannot be read.
    """
    scale = size[0] / (part[2] - part[0]), size[1] / (part[3] - part[1])
    with Image.open(photo.path) as opened:
        # A large JPEG is decoded at a half, quarter or eighth of its size where that suffices.
        drafted = opened.draft("RGB", (math.ceil(photo.size[0] * scale[0]), math.ceil(photo.size[1] * scale[1])))
        shrunk = drafted[1][2] / photo.size[0] if drafted else 1.0
        rgb, _ = to_rgb(opened)
    left, top, right, bottom = (side * shrunk for side in part)
    return rgb.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))


def picture_problem(photo: Photo) -> Problem | None:
    """Why a photo's file does not fit its annotations or cannot be read at all; None if nothing is wrong."""
    try:
        with Image.open(photo.path) as image:
            size = image.size
            # A JPEG is read to its end, but only an eighth of its pixels is computed.
            image.draft("RGB", (1, 1))
            image.load()
            orientation = orientation_of(image)
    except FileNotFoundError:
        return "its picture file is missing", "Put the file into images/, or remove the image from the annotations"
    except Exception as error:  # Pillow's readers raise nearly everything on broken files.
        return f"its picture cannot be read ({error})".replace(f" {str(photo.path)!r}", ""), "Replace the file by an intact JPEG or PNG"
    if size != photo.size:
        problem = f"its picture is {size[0]} × {size[1]} pixels, but {photo.size[0]} × {photo.size[1]} are annotated"
        # 5 to 8 lie on their side.
        if orientation > 4 and size == photo.size[::-1]:
            return problem, "The file asks viewers to turn it (EXIF orientation): save it upright, without that mark"
        return problem, "Use the picture that was annotated, or scale its annotations and correct its width and height"
    if orientation != 1:
        problem = f"viewers show its picture turned or mirrored (EXIF orientation {orientation}), but annotations count stored pixels"
        return problem, "Save it without the EXIF orientation, and see whether the annotations still fit"
    return None
