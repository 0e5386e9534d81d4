"""Reads TIFFs that Pillow refuses or decodes wrongly: wide or signed samples, planes, pixels without data, other pages.

Pillow's libtiff still decompresses them: it gets a directory that describes each row as a row of gray bytes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from detection_core.images.formats import RAW_IMAGE
from detection_core.images.limits import ImageError, ImageLimits
from detection_core.images.modes import UPRIGHT, scale_to_8_bits, with_profile
from detection_core.images.recovery import load_what_is_there
from detection_core.images.tiff_directories import beginning_at, read_directories, read_directory, with_directory

# The tags of TIFF 6.0, GDAL's tag for pixels without data, and DNG's version.
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 284, 317, 322, 323, 324, 325
_SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT, _PROFILE, _NO_DATA, _DNG = 330, 338, 339, 34675, 42113, 50706
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
_REDUCED, _MASK = 1, 4
# DNG's photometric interpretations for the data of a camera's sensor.
_SENSOR = {32803, 34892}
_KINDS = {1: "u", 2: "i", 3: "f"}
_BYTEWISE = {"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "zstd", "lzma"}
# CMYK and alpha.
_MOST_PLANES = 5
_MOST_BYTES_A_PIXEL, _MOST_BYTES = 32, 2**30


@dataclass
class TiffPage:
    """One image of a TIFF.

    Attributes:
        data: A file of which this is the first page.
        tags: Its directory.
        notes: Sentences for the user about which page it is.
        pages: Number of pages in the file.
        is_complete: Whether the file contains everything that has been read so far.
    """

    data: bytes
    tags: ImageFileDirectory_v2
    notes: tuple[str, ...]
    pages: int
    is_complete: bool = True

    @classmethod
    def main(cls, data: bytes) -> TiffPage:
        """Returns the first page that is not a reduced version of another one; if all are, the largest.

        Raises:
            ImageError: If the file is a raw camera image whose first page is a small preview.
        """
        first = read_directory(data)
        pages = read_directories(data, first)
        if not _is_reduced(first):
            return cls(data, first, (), len(pages))
        offsets = first.get(_SUB_DIRECTORIES, ())
        below = [read_directory(data, offset) for offset in (offsets if isinstance(offsets, tuple) else (offsets,))]
        if _DNG in first or any(tags.get(_PHOTOMETRIC) in _SENSOR for tags in (*pages, *below)):
            raise ImageError(RAW_IMAGE)
        chosen = next((tags for tags in (*pages, *below) if not _is_reduced(tags)), None) or max(pages, key=_area)
        if chosen is first:
            return cls(data, first, (), len(pages))
        note = "The first page of this TIFF is a small version: the full image behind it is used."
        return cls(beginning_at(data, chosen.offset), chosen, (note,), 1)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, upright."""
        width, height = int(self.tags[_WIDTH]), int(self.tags[_HEIGHT])
        return (height, width) if self.tags.get(_ORIENTATION, 1) > 4 else (width, height)

    @property
    def is_for_pillow(self) -> bool:
        """Whether Pillow reads the page, and does so correctly."""
        bits, kinds, photometric = set(self._bits), self._kinds, self.tags.get(_PHOTOMETRIC, 0)
        if max(bits) <= 8:
            return kinds == {1} and self._is_known_to_pillow()
        if bits != {16}:
            return max(bits) < 16 and self._is_known_to_pillow()
        is_plain = self.tags.get(_PLANAR, 1) == 1 or self._samples == 1
        return kinds == {1} and is_plain and photometric != _WHITE_IS_ZERO and _NO_DATA not in self.tags and self._is_known_to_pillow()

    def _is_known_to_pillow(self) -> bool:
        try:
            TiffImagePlugin.TiffImageFile(io.BytesIO(self.data))
        except SyntaxError:
            return False
        return True

    @property
    def _samples(self) -> int:
        return int(self.tags.get(_SAMPLES, 1))

    @property
    def _bits(self) -> tuple[int, ...]:
        return tuple(self.tags.get(_BITS, (1,)))

    @property
    def _kinds(self) -> set[int]:
        formats = self.tags.get(_SAMPLE_FORMAT, (1,))
        # 4 is "undefined", which is read as unsigned.
        return {1 if each == 4 else each for each in (formats if isinstance(formats, tuple) else (formats,))}

    def read(self, limits: ImageLimits) -> tuple[Image.Image, list[str]]:
        """Returns the image, upright and RGB, and notes for the user.

        Raises:
            ImageError: If its size is outside the limits, or the way its pixels are stored is not supported.
            OSError: If it is damaged.
        """
        limits.check(self.size)
        values, notes = self._chosen(self._values())
        missing = self._missing(values)
        inverted = self.tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        pixels, more = scale_to_8_bits(values, missing, inverted=inverted)
        image = self._in_colors(pixels)
        if (orientation := self.tags.get(_ORIENTATION, 1)) in UPRIGHT:
            image = image.transpose(UPRIGHT[orientation])
        return with_profile(image, {"icc_profile": self.tags.get(_PROFILE)}), [*self.notes, *notes, *more]

    def _chosen(self, values: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
        """Returns the color samples of values [H,W,S], followed by alpha, and notes about the other samples."""
        photometric, samples = self.tags.get(_PHOTOMETRIC, 0), values.shape[2]
        colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}.get(photometric, 0)
        if not colors or samples < colors:
            raise self._unknown()
        extra = self.tags.get(_EXTRA, ())
        alpha = bool(extra) and extra[0] in (1, 2) and samples > colors and values.dtype == np.uint16
        if samples == colors + alpha:
            return values, []
        if alpha or colors > 1:
            return values[..., : colors + alpha], []
        shown = "the first three are shown as red, green and blue" if samples > 2 else "only the first one is shown"
        return values[..., : 3 if samples > 2 else 1], [f"TIFF with {self._samples} bands: {shown}."]

    def _in_colors(self, pixels: NDArray[np.uint8]) -> Image.Image:
        channels = pixels.shape[2]
        if self.tags.get(_PHOTOMETRIC) == _CMYK:
            return Image.fromarray(pixels[..., :4], "CMYK").convert("RGB")
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        image = Image.fromarray(pixels[..., 0] if channels == 1 else np.ascontiguousarray(pixels), mode)
        if channels in (1, 3):
            return image.convert("RGB")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")

    def _missing(self, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Returns where GDAL's tag marks pixels without data, [H,W], or None if there are none."""
        try:
            no_data = float(str(self.tags.get(_NO_DATA, "")).strip(" \0"))
        except ValueError:
            return None
        # The tag is a text, which may have more digits than the samples.
        with np.errstate(all="ignore"):
            stored = np.float64(no_data).astype(values.dtype)
            fits = values.dtype.kind == "f" or float(stored) == no_data
        missing: NDArray[np.bool_] = (values == stored).all(axis=2)
        return missing if fits and missing.any() else None

    def _values(self) -> NDArray[Any]:
        """Returns the samples, [H,W,S], with their type and in the machine's byte order."""
        bits, kinds = set(self._bits), self._kinds
        compression = COMPRESSION_INFO.get(self.tags.get(_COMPRESSION, 1), "")
        (size,) = bits if len(bits) == 1 else (0,)
        (kind,) = kinds if len(kinds) == 1 else (0,)
        if size not in (8, 16, 32, 64) or kind not in _KINDS or (kind == 3 and size == 8) or compression not in _BYTEWISE:
            raise self._unknown()
        order = "<" if self.data[:2] == b"II" else ">"
        stored, wanted = np.dtype(f"{order}u{size // 8}"), np.dtype(f"{_KINDS[kind]}{size // 8}")
        planes = self._samples if self.tags.get(_PLANAR, 1) == 2 else 1
        together = self._samples // planes
        if together * stored.itemsize > _MOST_BYTES_A_PIXEL:
            raise self._unknown()
        # Further planes are never shown.
        parts = [self._plane(index, planes, together, stored) for index in range(min(planes, _MOST_PLANES))]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
        return values.astype(stored.newbyteorder("="), copy=False).view(wanted)

    def _plane(self, index: int, planes: int, together: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Returns one plane, [H,W,together]."""
        width, height = int(self.tags[_WIDTH]), int(self.tags[_HEIGHT])
        is_tiled = _TILE_OFFSETS in self.tags
        tile = int(self.tags[_TILE_WIDTH]) if is_tiled else width
        padded = math.ceil(width / tile) * tile
        a_pixel = together * dtype.itemsize
        tile_bytes = tile * a_pixel * int(self.tags.get(_TILE_HEIGHT, 1))
        if padded * a_pixel * height > _MOST_BYTES or tile_bytes > _MOST_BYTES // 4:
            raise self._unknown()
        rows = self._bytes(index, planes, padded * a_pixel, height, tile * a_pixel)
        predictor = self.tags.get(_PREDICTOR, 1)
        tiles = rows.reshape(height, padded // tile, tile * a_pixel)
        if predictor == 3:
            # The rows store differences of bytes, grouped by significance, the most significant first.
            sums = np.cumsum(tiles.reshape(*tiles.shape[:2], -1, together), axis=2, dtype=np.uint8)
            weights = sums.reshape(*tiles.shape[:2], dtype.itemsize, tile * together)
            values = np.ascontiguousarray(np.moveaxis(weights, 2, 3)).view(dtype.newbyteorder(">"))
        else:
            values = tiles.view(dtype)
        values = values.reshape(height, padded // tile, tile, together)
        if predictor == 2:
            values = np.cumsum(values, axis=2, dtype=dtype.newbyteorder("="))
        elif predictor not in (1, 3):
            raise self._unknown()
        return values.reshape(height, padded, together)[:, :width]

    def _bytes(self, index: int, planes: int, width: int, height: int, tile: int) -> NDArray[np.uint8]:
        """Returns the decompressed content of a plane's strips or tiles as rows, [height, width]."""
        tags: dict[int, tuple[int, ...]] = {
            _WIDTH: (width,),
            _HEIGHT: (height,),
            _BITS: (8,),
            _SAMPLES: (1,),
            _PHOTOMETRIC: (_BLACK_IS_ZERO,),
        }
        tags[_COMPRESSION] = (self.tags.get(_COMPRESSION, 1),)
        if _TILE_OFFSETS in self.tags:
            tags |= {_TILE_WIDTH: (tile,), _TILE_HEIGHT: (self.tags[_TILE_HEIGHT],)}
            places = (_TILE_OFFSETS, _TILE_BYTES)
        else:
            tags[_ROWS_PER_STRIP] = (min(height, self.tags.get(_ROWS_PER_STRIP, height)),)
            places = (_STRIP_OFFSETS, _STRIP_BYTES)
        for tag in places:
            if tag in self.tags:
                count = len(self.tags[tag]) // planes
                tags[tag] = self.tags[tag][index * count : (index + 1) * count]
        with TiffImagePlugin.TiffImageFile(io.BytesIO(with_directory(self.data, tags))) as image:
            self.is_complete &= load_what_is_there(image)
            return np.asarray(image)

    def _unknown(self) -> ImageError:
        if self.tags.get(_PHOTOMETRIC) in _SENSOR:
            return ImageError(RAW_IMAGE)
        bits = ", ".join(map(str, sorted(set(self._bits))[:_MOST_PLANES]))
        return ImageError(
            f"This TIFF stores its pixels in a way that cannot be read here ({self._samples} × {bits} bits). "
            "Export it as PNG, or as TIFF with 8 bits."
        )


def _is_reduced(tags: ImageFileDirectory_v2) -> bool:
    return bool(tags.get(_SUBFILE, 0) & (_REDUCED | _MASK))


def _area(tags: ImageFileDirectory_v2) -> int:
    return int(tags.get(_WIDTH, 0)) * int(tags.get(_HEIGHT, 0))
