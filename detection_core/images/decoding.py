"""Decodes the content of an image file into 8-bit RGB pixels, as they are stored."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

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

from detection_core.images.formats import identify, why_unreadable, without_blanks
from detection_core.images.limits import ImageError, ImageLimits
from detection_core.images.modes import orientation_of, to_rgb
from detection_core.images.recovery import PART_MISSING, load_jpeg, load_what_is_there, png_for_pixels, whole_chunks_of_webp
from detection_core.images.tiff import TiffPage

# Pillow's warnings about metadata that is not used here. They name Pillow's files; whatever matters to users is in the notes.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

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


@dataclass(frozen=True)
class DecodedFile:
    """The image in a file; other fields are those of `LoadedImage`.

    Attributes:
        image: Mode RGB, 8 bits, not turned by the EXIF orientation.
        web_safe: Whether a browser decodes the file to the same pixels.
        orientation: The EXIF orientation, 1–8, where 1 is upright; also 1 for a TIFF, which Pillow turns.
    """

    image: Image.Image
    notes: tuple[str, ...]
    format: str
    web_safe: bool
    orientation: int
    is_complete: bool


def decode_file(data: bytes, limits: ImageLimits) -> DecodedFile:
    """Decodes the content of a file.

    Raises:
        ImageError: If it is no image, or one that is damaged or outside the limits.
    """
    content = without_blanks(data)
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


def _decode(data: bytes, file_format: str, limits: ImageLimits) -> DecodedFile:
    remarks: list[str] = []
    if file_format == "TIFF":
        page = TiffPage.main(data)
        if not page.is_for_pillow:
            rgb, notes = page.read(limits)
            return _decoded(rgb, notes, file_format, page.pages, cut="" if page.is_complete else PART_MISSING)
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
    loaded: Image.Image = image
    if file_format == "JPEG":
        loaded, cut = load_jpeg(data, lambda content: read(io.BytesIO(content)), image)
    else:
        cut = "" if load_what_is_there(image) else PART_MISSING
    # TIFFs need nothing here: Pillow applies their orientation while loading.
    orientation = orientation_of(loaded)
    rgb, notes = to_rgb(loaded)
    if reduced:
        notes = ["16-bit image scaled to 8 bits.", *notes]
    # If a part is missing, a note that parts may be wrong adds nothing.
    remarks = [] if cut and file_format == "PNG" else remarks
    return _decoded(
        rgb,
        [*remarks, *notes],
        name,
        frames,
        cut=cut,
        has_cover=bool(getattr(image, "default_image", False)),
        web_safe=mode in _WEB_MODES.get(name, ()) and frames == 1 and not (reduced or cut),
        orientation=orientation,
    )


def _decoded(
    rgb: Image.Image,
    notes: list[str],
    name: str,
    frames: int,
    *,
    cut: str,
    has_cover: bool = False,
    web_safe: bool = False,
    orientation: int = 1,
) -> DecodedFile:
    """Returns the image with notes that begin with the missing part, `cut`, and with the frames that are left out."""
    if frames > 1:
        notes = [_first_only(name, frames, has_cover=has_cover), *notes]
    return DecodedFile(rgb, (*([cut] if cut else []), *notes), name, web_safe, orientation, is_complete=not cut)


def _first_only(name: str, frames: int, *, has_cover: bool) -> str:
    if has_cover:
        # Pillow's count includes the still image, which is not one of the frames.
        counted = "1 frame" if frames == 2 else f"{frames - 1} frames"
        return f"Animated {name} with {counted}: only the still image in front of them is used."
    what = {"TIFF": "TIFF with {} pages", "MPO": "MPO file with {} images"}.get(name, f"Animated {name} with {{}} frames")
    return f"{what.format(frames)}: only the first one is used."
