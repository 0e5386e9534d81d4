"""Tests that images with transparency, more than 8 bits or rare modes become RGB as people see them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from detection_core.images.reading import load_image, read_image
from tests.images.samples import difference, encoded, scene


@pytest.mark.parametrize(("mode", "tolerance"), [("HSV", 6), ("YCbCr", 3), ("LAB", 12), ("CMYK", 0), ("RGBX", 0), ("RGBa", 0)])
def test_objects_of_rare_modes(mode, tolerance):
    image = scene(mode="RGBA").convert(mode) if mode == "RGBa" else scene(mode=mode)
    assert difference(load_image(image), scene()) <= tolerance


def with_alpha(mode):
    """The scene, left half transparent, in a mode with transparency."""
    alpha = Image.new("L", (48, 32), 255)
    alpha.paste(0, (0, 0, 24, 32))
    image = scene(mode="L" if mode == "LA" else "RGB")
    image.putalpha(alpha)
    return image


def palette_with_transparency():
    image = Image.new("P", (48, 32), 1)
    image.putpalette([0, 0, 0, 200, 30, 40])
    image.paste(0, (0, 0, 24, 32))
    return image


TRANSPARENT = {
    "png-rgba": encoded(with_alpha("RGBA"), "PNG"),
    "png-la": encoded(with_alpha("LA"), "PNG"),
    "png-p": encoded(palette_with_transparency(), "PNG", transparency=0),
    "png-p-alphas": encoded(palette_with_transparency(), "PNG", transparency=b"\x00\xff"),
    "gif-p": encoded(palette_with_transparency(), "GIF", transparency=0),
    "webp": encoded(with_alpha("RGBA"), "WEBP", lossless=True),
    "tiff": encoded(with_alpha("RGBA"), "TIFF"),
    "avif": encoded(with_alpha("RGBA"), "AVIF", quality=95),
    "png-rgb-color-key": encoded(palette_with_transparency().convert("RGB"), "PNG", transparency=(0, 0, 0)),
    "object-pa": with_alpha("RGBA").convert("PA"),
    "array": np.asarray(with_alpha("RGBA")),
}


@pytest.mark.parametrize("source", TRANSPARENT.values(), ids=TRANSPARENT)
def test_transparency_is_put_on_white(source):
    loaded = read_image(source)
    pixels = np.asarray(loaded.image)
    assert pixels[:, :22].min() >= 250
    assert pixels[:, 26:].min(axis=-1).max() < 220
    assert loaded.notes == ("Transparent parts were put on white.",)


def test_half_transparent_red_on_white_is_pink():
    assert load_image(Image.new("RGBA", (9, 9), (255, 0, 0, 128))).getpixel((4, 4)) == (255, 127, 127)


RAMP = np.linspace(0, 1, 48 * 32).reshape(32, 48)
SIXTEEN = {
    "full-range": (65535, 65535, "16-bit image scaled to 8 bits."),
    "half-range-is-half-bright": (32767, 65535, "16-bit image scaled to 8 bits."),
    "14-bit": (16383, 16383, "as if it had 14, because no value exceeds 16383"),
    "12-bit": (4000, 4095, "as if it had 12, because no value exceeds 4000"),
    "10-bit": (1023, 1023, "as if it had 10"),
    "8-bit": (255, 255, "as if it had 8"),
}


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("greatest", "white", "note"), SIXTEEN.values(), ids=SIXTEEN)
def test_16_bit_gray_is_scaled_by_its_bit_depth(file_format, greatest, white, note):
    values = np.rint(RAMP * greatest).astype(np.uint16)
    loaded = read_image(encoded(Image.fromarray(values), file_format))
    expected = np.rint(values * (255 / white))
    assert np.abs(np.asarray(loaded.image)[..., 0] - expected).max() <= 1
    assert note in loaded.notes[0]
    assert not loaded.web_safe


def test_big_endian_16_bit_gray():
    image = Image.frombytes("I;16B", (48, 32), np.rint(RAMP * 65535).astype(">u2").tobytes())
    assert np.abs(np.asarray(load_image(image))[..., 1] - np.rint(RAMP * 255)).max() <= 1


WIDE = {
    "float-0-1": (RAMP.astype(np.float32), RAMP * 255),
    "float-negative": ((RAMP * 9 - 5).astype(np.float32), RAMP * 255),
    "float-huge": ((RAMP * 6e38 - 3e38).astype(np.float32), RAMP * 255),
    "int": (np.rint(RAMP * 2e9 - 1e9).astype(np.int32), RAMP * 255),
    "int-narrow-window": (np.rint(RAMP * 255 + 1e9).astype(np.int32), RAMP * 255),
    "constant": (np.full((32, 48), 7.5, np.float32), np.zeros((32, 48))),
    "no-finite-value": (np.full((32, 48), np.nan, np.float32), np.zeros((32, 48))),
}


@pytest.mark.parametrize(("values", "expected"), WIDE.values(), ids=WIDE)
def test_32_bit_images_are_stretched(values, expected):
    loaded = read_image(encoded(Image.fromarray(values), "TIFF"))
    assert np.abs(np.asarray(loaded.image)[..., 2] - np.rint(expected)).max() <= 1
    assert "32-bit" in loaded.notes[0]


@pytest.mark.filterwarnings("error")
def test_infinite_and_missing_values():
    values = RAMP.astype(np.float32).copy()
    values[5, :3] = np.nan, np.inf, -np.inf
    pixels = np.asarray(load_image(Image.fromarray(values)))[..., 0]
    assert pixels[5, :3].tolist() == [0, 255, 0]
    assert abs(int(pixels[16, 20]) - RAMP[16, 20] * 255) <= 1
