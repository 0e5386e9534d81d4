"""Reads any image file, image object or array as an upright 8-bit RGB image, or raises an error that explains why it cannot."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
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

from detection_core.images.formats import HEAD_BYTES, identify, why_unreadable
from detection_core.images.limits import DEFAULT_LIMITS, ImageError, ImageLimits
from detection_core.images.modes import UPRIGHT, orientation_of, to_rgb, with_profile
from detection_core.images.recovery import PART_MISSING, load_jpeg, load_what_is_there, png_for_pixels, whole_chunks_of_webp
from detection_core.images.tiff import TiffPage

__all__ = ["DEFAULT_LIMITS", "ImageError", "ImageLimits", "ImageSource", "LoadedImage", "encode_jpeg", "load_image", "read_image"]

# Pillow's warnings about metadata that is not used here. They name Pillow's files; whatever matters to users is in the notes.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

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

    Images may be as small and as long as they like, and as large as Pillow accepts.

    Returns:
        The image, and its orientation (1–8, where 1 is upright; also 1 for a TIFF, which Pillow turns).

    Raises:
        ImageError: If the file does not exist, or contains no image or only a part of one.
    """
    loaded, orientation = _decode_file(_read_bytes(path), _NO_LIMITS)
    if not loaded.is_complete:
        raise ImageError(loaded.notes[0])
    return loaded.image, orientation


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
# What Pillow takes for an attack.
_NO_LIMITS = ImageLimits(max_pixels=2 * 89_478_485, max_side=2 * 89_478_485, min_side=1, max_aspect=math.inf)
# Scripts that send an image often send a blank line before it.
_BLANKS = b"\r\n\t \xef\xbb\xbf"


def _from_file(data: bytes, limits: ImageLimits) -> LoadedImage:
    loaded, orientation = _decode_file(data, limits)
    digest = hashlib.sha256(data).hexdigest()
    if orientation == 1:
        return replace(loaded, digest=digest)
    upright = with_profile(loaded.image.transpose(UPRIGHT[orientation]), loaded.image.info)
    # Browsers turn JPEGs only.
    return replace(loaded, image=upright, digest=digest, web_safe=loaded.web_safe and loaded.format == "JPEG")


def _decode_file(data: bytes, limits: ImageLimits) -> tuple[LoadedImage, int]:
    """Returns the image as it is stored, without a digest, and its EXIF orientation."""
    content = data if identify(data) else data.lstrip(_BLANKS)
    file_format = identify(content)
    if file_format is None:
        raise ImageError(why_unreadable(data))
    try:
        return _decode(content, file_format, limits)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("The image is too large to be decoded safely. Make it smaller first.") from error
    except Exception as error:  # Pillow's readers raise nearly everything on broken files, SyntaxError and KeyError included.
        raise ImageError(
            f"This {file_format} file is damaged, incomplete or of a rare kind. Download or export it again, best as JPEG or PNG."
        ) from error


def _decode(data: bytes, file_format: str, limits: ImageLimits) -> tuple[LoadedImage, int]:
    remarks: list[str] = []
    page = TiffPage.main(data) if file_format == "TIFF" else None
    if page is not None and not page.is_for_pillow:
        rgb, notes = page.read(limits)
        return _loaded(rgb, [*remarks, *notes], file_format, page.pages, is_complete=page.is_complete), 1
    if page is not None:
        data, remarks = page.data, [*page.notes]
    elif file_format == "PNG":
        data, remarks = png_for_pixels(data)
    elif file_format == "WebP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        data, remarks = whole_chunks_of_webp(data)
    read = _READERS[file_format]
    image = read(io.BytesIO(data))
    limits.check(image.size)
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:  # A damaged frame behind the one that is wanted may raise anything.
        image, frames = read(io.BytesIO(data)), 1
        remarks = [*remarks, f"A later part of this {file_format} file is damaged: only the first image is used."]
    name = "MPO" if image.format == "MPO" else file_format
    mode = image.mode
    # The tiles describe how pixels are stored; load() removes them.
    reduced = mode in {"RGB", "RGBA", "LA", "CMYK"} and re.search(r";16[BLN]", str(image.tile)) is not None
    decoded: Image.Image = image
    if file_format == "JPEG":
        decoded, cut = load_jpeg(data, lambda content: read(io.BytesIO(content)), image)
    else:
        cut = "" if load_what_is_there(image) else PART_MISSING
    # TIFFs need nothing here: Pillow applies their orientation while loading.
    orientation = orientation_of(decoded)
    rgb, notes = to_rgb(decoded)
    if reduced:
        notes = ["16-bit image scaled to 8 bits.", *notes]
    has_cover = bool(getattr(image, "default_image", False))
    # If a part is missing, a note that parts may be wrong adds nothing.
    remarks = [] if cut and file_format == "PNG" else remarks
    loaded = _loaded(rgb, [*remarks, *notes], name, frames, cut=cut, has_cover=has_cover)
    return replace(loaded, web_safe=mode in _WEB_MODES.get(name, ()) and frames == 1 and not (reduced or cut)), orientation


def _loaded(
    rgb: Image.Image, notes: list[str], name: str, frames: int, *, cut: str = "", is_complete: bool = True, has_cover: bool = False
) -> LoadedImage:
    cut = cut or ("" if is_complete else PART_MISSING)
    if frames > 1:
        notes = [_first_only(name, frames, has_cover=has_cover), *notes]
    return LoadedImage(rgb, (*([cut] if cut else []), *notes), name, web_safe=False, digest="", is_complete=not cut)


def _first_only(name: str, frames: int, *, has_cover: bool) -> str:
    if has_cover:
        # Pillow's count includes the still image, which is not one of the frames.
        counted = "1 frame" if frames == 2 else f"{frames - 1} frames"
        return f"Animated {name} with {counted}: only the still image in front of them is used."
    what = {"TIFF": "TIFF with {} pages", "MPO": "MPO file with {} images"}.get(name, f"Animated {name} with {{}} frames")
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
            return head + file.read() if identify(head) or identify(head.lstrip(_BLANKS)) else head
    except IsADirectoryError:
        raise ImageError("This is a folder, not a file: choose an image inside.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("There is no such file. Check the name and the folder.") from None
    except PermissionError:
        raise ImageError("The file may not be opened: its permissions forbid it.") from None
    except (OSError, ValueError, TypeError):
        raise ImageError("The file could not be opened. Check its name and the disk.") from None
