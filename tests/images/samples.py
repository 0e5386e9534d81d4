"""Makes small images and files of them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(width=48, height=32, mode="RGB"):
    """A smooth image (lossy formats keep it) with four different corners."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    rgb = np.stack([40 + 180 * x, 220 - 180 * y, 60 + 120 * x * y], axis=-1)
    image = Image.fromarray(rgb.astype(np.uint8))
    return image if mode == "RGB" else image.convert(mode)


def encoded(image, file_format, **options):
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def chunk(kind, body, wrong=0):
    """A chunk of a PNG; `wrong` changes its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def png_header(width, height, *, bit_depth=8, color_type=2, chunks=b""):
    """A PNG with no pixels behind its header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def png_16_bit(array):
    """A 16-bit PNG, which Pillow itself writes for gray only: array is uint16 [H,W,C]."""
    height, width, channels = array.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), array.astype(">u2").view(np.uint8).reshape(height, -1)], axis=1)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")


def difference(image, expected):
    """Greatest difference of two images in gray levels."""
    assert image.size == expected.size
    return int(np.abs(np.asarray(image, np.int16) - np.asarray(expected.convert("RGB"), np.int16)).max())


def ftyp(*brands):
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:]) + b"\0" * 64
