"""Reads any image file, image object or array as an upright 8-bit RGB image, or raises an error that explains why it cannot."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.images.decoding import decode_file
from detection_core.images.formats import HEAD_BYTES, identify, without_blanks
from detection_core.images.limits import DEFAULT_LIMITS, ImageError, ImageLimits
from detection_core.images.modes import UPRIGHT, orientation_of, to_rgb, with_profile

__all__ = ["DEFAULT_LIMITS", "ImageError", "ImageLimits", "ImageSource", "LoadedImage", "encode_jpeg", "load_image", "read_image"]

# Above this many pixels, Pillow refuses to decode a file.
_NO_LIMITS = ImageLimits(max_pixels=2 * 89_478_485, max_side=2 * 89_478_485, min_side=1, max_aspect=math.inf)

ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True)
class LoadedImage:
    """An image ready for detection, and information about its source.

    Attributes:
        image: Upright, mode RGB, 8 bits. Its `info` holds only the color profile of an RGB file ("icc_profile"), so that
            files saved from it keep their colors and lose their metadata (place, camera, date).
        notes: Sentences for the user about what was changed or left out.
        format: "JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF", "AVIF" or "MPO"; "image object" or "array" if the source was not a file.
        web_safe: True if a browser shows the original file exactly as `image`: the same pixels, upright (browsers apply the EXIF
            orientation of JPEGs unless the style sheet says `image-orientation: none`), transparency on the page's white.
        digest: SHA-256 in hexadecimal of the file's bytes, or of the size and pixels if the source was not a file.
        is_complete: Whether the file contained the whole image; if not, the first note says so.
    """

    image: Image.Image
    notes: tuple[str, ...]
    format: str
    web_safe: bool
    digest: str
    is_complete: bool = True


def load_image(source: ImageSource, *, limits: ImageLimits | None = None) -> Image.Image:
    """Reads `source` as an upright 8-bit RGB image; see `read_image`, which also returns notes.

    A `UserWarning` is issued if a part of the image is missing in its file.
    """
    loaded = read_image(source, limits=limits)
    if not loaded.is_complete:
        warnings.warn(loaded.notes[0], stacklevel=2)
    return loaded.image


def read_image(source: ImageSource, *, limits: ImageLimits | None = None) -> LoadedImage:
    """Reads an image from a file, a stream or memory.

    Files are turned upright by their EXIF orientation; the first frame or page is used; transparency is put on white; 16 and 32 bits are
    scaled to 8 as described at `modes.to_rgb`.

    Image objects and arrays are used as they are in memory, never rotated, so that boxes fit the caller's copy.

    Args:
        source: Path, content of a file, binary stream (read from its current position), PIL image, or uint8 array [H,W,3] (RGB),
            [H,W,4] (RGBA) or [H,W] (gray).
        limits: Accepted sizes; None uses `ImageLimits.from_environment`.

    Raises:
        ImageError: If the file does not exist or contains no usable image.
    """
    limits = limits or ImageLimits.from_environment()
    if isinstance(source, Image.Image):
        return _from_image(source, limits)
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    return _from_file(_read_bytes(source), limits)


def read_stored(path: str | os.PathLike[str]) -> tuple[Image.Image, int]:
    """Reads a file's pixels as 8-bit RGB without turning them by the EXIF orientation, as annotation tools count them.

    Images may have any size that Pillow accepts, and any aspect ratio.

    Returns:
        The image, and its orientation (1–8, where 1 is upright; also 1 for a TIFF, which Pillow turns).

    Raises:
        ImageError: If the file does not exist, or contains no image or only a part of one.
    """
    decoded = decode_file(_read_bytes(path), _NO_LIMITS)
    if not decoded.is_complete:
        raise ImageError(decoded.notes[0])
    return decoded.image, decoded.orientation


def read_image_bytes(file: BinaryIO) -> bytes:
    """Reads a file completely if it is an image, and otherwise only its first bytes, by which a large video is refused."""
    head = file.read(HEAD_BYTES)
    return head + file.read() if identify(without_blanks(head)) else head


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encodes an image as a JPEG file with 4:2:0 chroma subsampling and its color profile, for previews and downloads.

    Args:
        image: Mode RGB or L.
        quality: 1–95.
    """
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling="4:2:0", icc_profile=image.info.get("icc_profile"))
    return stream.getvalue()


def _from_file(data: bytes, limits: ImageLimits) -> LoadedImage:
    decoded = decode_file(data, limits)
    image, web_safe = decoded.image, decoded.web_safe
    if decoded.orientation != 1:
        image = with_profile(image.transpose(UPRIGHT[decoded.orientation]), image.info)
        # Browsers turn JPEGs only.
        web_safe = web_safe and decoded.format == "JPEG"
    return LoadedImage(image, decoded.notes, decoded.format, web_safe, hashlib.sha256(data).hexdigest(), decoded.is_complete)


def _from_image(image: Image.Image, limits: ImageLimits) -> LoadedImage:
    limits.check(image.size)
    try:
        rgb, notes = to_rgb(image)
    except Exception as error:  # A lazily opened file is decoded here, too.
        raise ImageError(f"This image object (mode {image.mode}) cannot be decoded. Convert it to RGB first.") from error
    if orientation_of(image) != 1:
        notes.append("The image object's EXIF orientation was not applied; load the file itself to have it upright.")
    return LoadedImage(rgb, tuple(notes), "image object", web_safe=False, digest=_pixel_digest(rgb))


def _from_array(array: NDArray[Any], limits: ImageLimits) -> LoadedImage:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            "An array must be uint8 of shape [H,W,3] (RGB), [H,W,4] (RGBA) or [H,W] (gray), 0–255; "
            f"this one is {array.dtype} of shape {list(array.shape)}."
        )
    limits.check((array.shape[1], array.shape[0]))
    rgb, notes = to_rgb(Image.fromarray(array))
    return LoadedImage(rgb, tuple(notes), "array", web_safe=False, digest=_pixel_digest(rgb))


def _pixel_digest(rgb: Image.Image) -> str:
    return hashlib.sha256(f"{rgb.size}".encode() + rgb.tobytes()).hexdigest()


def _read_bytes(source: Any) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source))
    if not hasattr(source, "read"):
        raise ImageError(f"Give a path, bytes, a binary stream, a PIL image or a uint8 array, not {type(source).__name__}.")
    try:
        data = source.read()
    except (OSError, ValueError) as error:
        raise ImageError("The stream could not be read: open it again, in binary mode.") from error
    if not isinstance(data, bytes):
        raise ImageError("The stream does not return bytes: open the file in binary mode.")
    return data


def _read_file(path: Any) -> bytes:
    if isinstance(path, str) and re.match(r"[a-z][a-z0-9+.-]+://|data:", path, re.IGNORECASE):
        raise ImageError("This is a web address, not a file: download the image first.")
    # The system's errors contain the path, so they are not passed on.
    try:
        with Path(path).open("rb") as file:
            return read_image_bytes(file)
    except IsADirectoryError:
        raise ImageError("This is a folder, not a file: choose an image inside.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("There is no such file. Check the name and the folder.") from None
    except PermissionError:
        raise ImageError("The file may not be opened: its permissions forbid it.") from None
    except (OSError, ValueError, TypeError):
        raise ImageError("The file could not be opened. Check its name and the disk.") from None
