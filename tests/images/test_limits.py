"""Tests that images outside the limits are refused before they are decoded."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from detection_core.images.limits import DEFAULT_LIMITS, ImageLimits
from detection_core.images.reading import ImageError, load_image, read_image
from tests.images.samples import encoded, png_header, scene

READERS = (
    AvifImagePlugin.AvifImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)


def resized_header(file_format, width, height):
    """A small valid file whose header claims another size."""
    data = bytearray(encoded(scene(), file_format, **({"lossless": False} if file_format == "WEBP" else {})))
    if file_format == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
    elif file_format == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif file_format == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif file_format == "TIFF":
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<HH", tag, 4 if struct.pack("<HHI", tag, 4, 1) in data else 3))
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    elif file_format == "AVIF":
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", width, height)
    elif file_format == "WEBP":
        data = bytearray(encoded(scene(), "WEBP", save_all=True, append_images=[scene().rotate(180)]))
        at = data.index(b"VP8X") + 12
        data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


@pytest.fixture
def decoded(monkeypatch):
    """The sizes of all images that were decoded."""
    sizes = []
    for reader in READERS:

        def load(self, original=reader.load):
            sizes.append(self.size)
            return original(self)

        monkeypatch.setattr(reader, "load", load)
    return sizes


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"])
@pytest.mark.parametrize(("width", "height"), [(13000, 13000), (8000, 8000), (10000, 9500)], ids=["169MP", "64MP", "95MP"])
def test_huge_images_are_refused_before_decoding(file_format, width, height, decoded):
    data = png_header(width, height) if file_format == "PNG" else resized_header(file_format, width, height)
    with pytest.raises(ImageError, match=rf"{width} × {height} pixels \([\d.]+ megapixels\); at most 50 megapixels"):
        read_image(data)
    assert decoded == []


@pytest.mark.filterwarnings("error")
def test_absurd_sizes_are_refused(decoded):
    with pytest.raises(ImageError, match="megapixels"):
        read_image(png_header(2**31 - 1, 2**31 - 1))
    assert decoded == []


def test_the_fixture_sees_decoding(decoded):
    read_image(encoded(scene(), "PNG"))
    assert (48, 32) in decoded


SIZES = {
    "smallest": (8, 8, None),
    "too-low": (60, 7, "at least 8"),
    "too-narrow": (7, 60, "at least 8"),
    "most-extreme": (160, 8, None),
    "too-wide": (161, 8, "20 times"),
    "too-tall": (8, 161, "20 times"),
    "one-pixel": (1, 1, "at least 8"),
}


@pytest.mark.parametrize("make", [lambda i: encoded(i, "PNG"), lambda i: i, np.asarray], ids=["file", "object", "array"])
@pytest.mark.parametrize(("width", "height", "part"), SIZES.values(), ids=SIZES)
def test_small_and_extreme_images(width, height, part, make):
    source = make(scene(width, height))
    if part is None:
        assert load_image(source).size == (width, height)
    else:
        with pytest.raises(ImageError, match=f"^The image has {width} × {height} pixels; .*{part}"):
            read_image(source)


CUSTOM = {
    "pixels": (replace(DEFAULT_LIMITS, max_pixels=1000), "at most 0.001 megapixels"),
    "side": (replace(DEFAULT_LIMITS, max_side=40), "a side may have at most 40"),
    "aspect": (replace(DEFAULT_LIMITS, max_aspect=1.2), "1.2 times"),
}


@pytest.mark.parametrize(("limits", "part"), CUSTOM.values(), ids=CUSTOM)
def test_limits_can_be_set(limits, part):
    assert load_image(scene()).size == (48, 32)
    with pytest.raises(ImageError, match=part):
        load_image(scene(), limits=limits)


def test_default_limits():
    assert ImageLimits.from_environment({}) == ImageLimits(50_000_000, 20_000, 8, 20.0)


@pytest.mark.parametrize(("text", "pixels"), [("12", 12_000_000), (" 0.5 ", 500_000), ("", 50_000_000)])
def test_limits_from_the_environment(text, pixels):
    assert ImageLimits.from_environment({"DETECTION_EXPLORER_MAX_MEGAPIXELS": text}).max_pixels == pixels


@pytest.mark.parametrize("text", ["many", "0", "-3", "nan", "inf"])
def test_bad_limits_in_the_environment(text):
    with pytest.raises(ValueError, match=f"DETECTION_EXPLORER_MAX_MEGAPIXELS must be a positive number.*{text}"):
        ImageLimits.from_environment({"DETECTION_EXPLORER_MAX_MEGAPIXELS": text})


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_tiffs_that_pillow_itself_refuses():
    """TIFF is the one format in which Pillow's own limit (179 megapixels) speaks while decoding, when ours is set higher."""
    with pytest.raises(ImageError, match="too large to be decoded safely"):
        read_image(resized_header("TIFF", 14000, 14000), limits=ImageLimits(max_pixels=10**9))
