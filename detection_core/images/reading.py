"""Reads any image file, image object or array as an upright 8-bit RGB image, or raises an error that explains why it cannot."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from detection_core.images.formats import HEAD_BYTES, RAW_IMAGE, identify, why_unreadable
from detection_core.images.limits import DEFAULT_LIMITS, ImageError, ImageLimits
from detection_core.images.modes import UPRIGHT, orientation_of, to_rgb, with_profile

__all__ = ["DEFAULT_LIMITS", "ImageError", "ImageLimits", "ImageSource", "LoadedImage", "encode_jpeg", "load_image", "read_image"]

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
    """

    image: Image.Image
    notes: tuple[str, ...]
    format: str
    web_safe: bool
    digest: str


def load_image(source: ImageSource, *, limits: ImageLimits | None = None) -> Image.Image:
    """Reads `source` as an upright 8-bit RGB image; see `read_image`, which also returns notes."""
    return read_image(source, limits=limits).image


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


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encodes an image as a JPEG file with 4:2:0 chroma subsampling and its color profile, for previews and downloads.

    Args:
        image: Mode RGB or L.
        quality: 1–95.
    """
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling="4:2:0", icc_profile=image.info.get("icc_profile"))
    return stream.getvalue()


# Pillow's readers are called directly: Image.open would try others too (EPS starts Ghostscript) and warns about large images before
# our limits are checked. None of these readers decodes pixels before load().
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
# Modes in which browsers and Pillow decode a file to the same pixels. MPO is left out: many servers do not know its file extension.
_WEB_MODES = {
    "JPEG": {"L", "RGB"},
    "PNG": {"1", "L", "LA", "P", "RGB", "RGBA"},
    "WebP": {"RGB", "RGBA"},
    "BMP": {"1", "L", "P", "RGB"},
    "GIF": {"L", "P"},
    "AVIF": {"RGB", "RGBA"},
}
# TIFF 6.0, NewSubfileType: bit 0 marks a reduced version, which comes first in DNG, NEF and ARW raw images.
_SUBFILE_TYPE_TAG = 254


def _from_file(data: bytes, limits: ImageLimits) -> LoadedImage:
    file_format = identify(data)
    if file_format is None:
        raise ImageError(why_unreadable(data))
    try:
        return _decode(data, file_format, limits)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("The image is too large to be decoded safely. Make it smaller first.") from error
    except Exception as error:  # Pillow's readers raise nearly everything on broken files, SyntaxError and KeyError included.
        raise ImageError(
            f"This {file_format} file is damaged, incomplete or of a rare kind. Download or export it again, best as JPEG or PNG."
        ) from error


def _decode(data: bytes, file_format: str, limits: ImageLimits) -> LoadedImage:
    image = _READERS[file_format](io.BytesIO(data))
    limits.check(image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_SUBFILE_TYPE_TAG, 0) == 1:
        raise ImageError(RAW_IMAGE)
    name = "MPO" if image.format == "MPO" else file_format
    frames = getattr(image, "n_frames", 1)
    mode = image.mode
    # The tiles describe how pixels are stored; load() removes them.
    reduced = mode in {"RGB", "RGBA", "LA", "CMYK"} and re.search(r";16[BLN]", str(image.tile)) is not None
    image.load()
    # TIFFs need nothing here: Pillow applies their orientation while loading.
    orientation = orientation_of(image)
    rgb, notes = to_rgb(image)
    if orientation != 1:
        rgb = with_profile(rgb.transpose(UPRIGHT[orientation]), rgb.info)
    if reduced:
        notes = ["16-bit image scaled to 8 bits.", *notes]
    if frames > 1:
        notes = [_first_only(name, frames), *notes]
    web_safe = mode in _WEB_MODES.get(name, ()) and frames == 1 and not reduced and (orientation == 1 or name == "JPEG")
    return LoadedImage(rgb, tuple(notes), name, web_safe, hashlib.sha256(data).hexdigest())


def _first_only(name: str, frames: int) -> str:
    what = {"TIFF": "TIFF with {} pages", "MPO": "Multi-picture file with {} images"}.get(name, f"Animated {name} with {{}} frames")
    return f"{what.format(frames)}: only the first one is used."


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
            head = file.read(HEAD_BYTES)
            # Only an image is read completely: a large video is refused after its first bytes.
            return head + file.read() if identify(head) else head
    except IsADirectoryError:
        raise ImageError("This is a folder, not a file: choose an image inside.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("There is no such file. Check the name and the folder.") from None
    except PermissionError:
        raise ImageError("The file may not be opened: its permissions forbid it.") from None
    except (OSError, ValueError, TypeError):
        raise ImageError("The file could not be opened. Check its name and the disk.") from None
