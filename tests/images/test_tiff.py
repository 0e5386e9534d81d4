"""TIFFs from microscopes, satellites and cameras have the right pixels, or one true sentence."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from detection_core.images.limits import ImageError, ImageLimits
from detection_core.images.reading import load_image, read_image
from tests.images.tiffs import tiff

HEIGHT, WIDTH = 40, 56
RAMP = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
COLORS = np.stack([RAMP, RAMP[::-1], np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))], axis=-1)
GRAY_8 = RAMP[..., None] * 255
WIDE = np.rint(COLORS * 65535).astype(np.uint16)


def with_alpha(values, alpha):
    return np.concatenate([values, np.full((HEIGHT, WIDTH, 1), alpha, values.dtype)], axis=2)


def holes(values, hole):
    """The values with a hole of that value in them."""
    values = values.copy()
    values[10:20, 10:20] = hole
    return values


def black_holes(expected):
    return holes(np.broadcast_to(expected, (HEIGHT, WIDTH, expected.shape[-1])).copy(), 0)


INT16 = np.rint(RAMP * 60000 - 30000).astype(np.int16)
FLOAT = (RAMP * 9 - 5).astype(np.float32)
KINDS = {
    # name: (file, expected 0–255, part of the notes)
    "16-bit planes": (tiff(WIDE, planar=True, photometric=2), COLORS * 255, "16-bit image scaled to 8 bits."),
    "16-bit planes, big-endian": (tiff(WIDE, planar=True, photometric=2, order=">"), COLORS * 255, "16-bit"),
    "16-bit planes, LZW": (tiff(WIDE, planar=True, photometric=2, compression="lzw"), COLORS * 255, "16-bit"),
    "16-bit planes, deflate, predictor": (
        tiff(WIDE, planar=True, photometric=2, compression="deflate", predictor=2), COLORS * 255, "16-bit"),
    "16-bit planes, strips": (tiff(WIDE, planar=True, photometric=2, rows=7), COLORS * 255, "16-bit"),
    "16-bit planes, tiles": (tiff(WIDE, planar=True, photometric=2, tile=16, compression="lzw", predictor=2), COLORS * 255, "16-bit"),
    "16-bit planes, BigTIFF": (tiff(WIDE, planar=True, photometric=2, big=True, rows=8), COLORS * 255, "16-bit"),
    "16-bit planes with alpha": (
        tiff(with_alpha(WIDE, 0), planar=True, photometric=2, tags=[{338: [2]}]), np.full((HEIGHT, WIDTH, 3), 255), "16-bit"),
    "16-bit colors together": (tiff(WIDE, photometric=2), COLORS * 255, "16-bit"),
    "16-bit colors together, predictor": (tiff(WIDE, photometric=2, compression="lzw", predictor=2), COLORS * 255, "16-bit"),
    "16-bit, white is zero": (tiff(WIDE[..., 0], photometric=0), 255 - GRAY_8, "16-bit"),
    "16-bit, white is zero, big-endian": (tiff(WIDE[..., 0], photometric=0, order=">"), 255 - GRAY_8, "16-bit"),
    "12 of 16 bits, white is zero": (tiff(np.rint(RAMP * 4095).astype(np.uint16), photometric=0), 255 - GRAY_8, "as if it had 12"),
    "8-bit, white is zero": (tiff(np.rint(GRAY_8).astype(np.uint8), photometric=0), 255 - GRAY_8, ""),
    "32-bit float, white is zero": (tiff(FLOAT, photometric=0), 255 - GRAY_8, "32-bit"),
    "8-bit signed": (tiff(np.rint(RAMP * 200 - 100).astype(np.int8)), GRAY_8, "8-bit image: values from -100 to 100"),
    "16-bit signed": (tiff(INT16), GRAY_8, "16-bit image: values from -30000 to 30000"),
    "16-bit signed, big-endian, predictor": (tiff(INT16, order=">", compression="lzw", predictor=2), GRAY_8, "16-bit image"),
    "32-bit unsigned": (tiff(np.rint(RAMP * (2**32 - 1)).astype(np.uint32)), GRAY_8, "32-bit"),
    "64-bit float": (tiff(RAMP * 5 - 2), GRAY_8, "64-bit image: values from -2 to 3"),
    "64-bit float, big-endian": (tiff(RAMP * 5 - 2, order=">", rows=9), GRAY_8, "64-bit"),
    "16-bit float": (tiff((RAMP * 4).astype(np.float16)), GRAY_8, "16-bit image: values from 0 to 4"),
    "32-bit float colors": (tiff(COLORS.astype(np.float32), photometric=2), COLORS * 255, "32-bit"),
    "32-bit float, predictor 3": (tiff(FLOAT, compression="deflate", predictor=3), GRAY_8, "32-bit"),
    "32-bit float colors, predictor 3, tiles": (
        tiff(COLORS.astype(np.float32), photometric=2, compression="lzw", predictor=3, tile=32), COLORS * 255, "32-bit"),
    "no data: NaN": (tiff(holes(FLOAT, np.nan)), black_holes(GRAY_8), "without data are shown black"),
    "no data: the least float": (tiff(holes(FLOAT, np.finfo(np.float32).min)), black_holes(GRAY_8), "without data are shown black"),
    "no data: GDAL's tag": (tiff(holes(FLOAT, -9999), no_data="-9999"), black_holes(GRAY_8), "without data are shown black"),
    "no data: GDAL's tag, rounded": (
        tiff(holes(FLOAT, np.finfo(np.float32).min), no_data="-3.40282346638529e+38"), black_holes(GRAY_8), "without data"),
    "no data: GDAL's tag, 16-bit": (tiff(holes(INT16, -32768), no_data="-32768"), black_holes(GRAY_8), "without data"),
    "no data: GDAL's tag, 12 of 16 bits": (
        tiff(holes(np.rint(RAMP * 4095).astype(np.uint16), 65535), no_data="65535"), black_holes(GRAY_8), "as if it had 12"),
    "no data: a tag that the values cannot have": (tiff(INT16, no_data="1e20"), GRAY_8, "16-bit"),
    "no data: no number": (tiff(FLOAT, no_data="none"), GRAY_8, "32-bit"),
    "four bands": (tiff(with_alpha(WIDE, 7), tags=[{338: [0, 0, 0]}]), COLORS * 255, "4 bands: the first three are shown"),
    "eight bands in planes": (
        tiff(np.concatenate([WIDE, WIDE, WIDE[..., :2]], axis=2), planar=True, tags=[{338: [0] * 7}]), COLORS * 255, "8 bands"),
    "two bands": (tiff(WIDE[..., :2], tags=[{338: [0]}]), GRAY_8, "2 bands: only the first one is shown"),
    "16-bit gray with alpha": (tiff(with_alpha(WIDE[..., :1], 65535), tags=[{338: [2]}]), GRAY_8, "16-bit"),
    "undefined samples": (tiff(WIDE[..., 0], tags=[{339: [4]}]), GRAY_8, "16-bit"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "expected", "note"), KINDS.values(), ids=KINDS)
def test_every_kind_has_the_right_pixels(data, expected, note):
    loaded = read_image(data)
    assert loaded.image.mode == "RGB"
    assert np.abs(np.asarray(loaded.image) - expected).max() <= 1.5
    assert note in " ".join(loaded.notes)
    assert loaded.is_complete


@pytest.mark.parametrize("orientation", [3, 6])
def test_wide_images_are_turned_upright(orientation):
    turned = load_image(tiff(WIDE, planar=True, photometric=2, tags=[{274: [orientation]}]))
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270}[orientation]
    expected = np.asarray(Image.fromarray(np.rint(COLORS * 255).astype(np.uint8)).transpose(turn))
    assert np.abs(np.asarray(turned, int) - expected).max() <= 1


SMALL = np.full((10, 14, 3), 9, np.uint8)
FULL = np.rint(COLORS * 255).astype(np.uint8)
REDUCED = {254: [1]}


@pytest.mark.parametrize(
    ("pages", "tags", "note"),
    [
        ([SMALL, FULL], [REDUCED, None], "small version: the full image behind it is used"),
        ([SMALL, SMALL, FULL], [REDUCED, REDUCED, None], "small version"),
        ([SMALL, FULL], [REDUCED, REDUCED], "small version"),
        ([FULL], [REDUCED], ""),
        ([FULL, SMALL], [None, REDUCED], "TIFF with 2 pages"),
        ([SMALL, WIDE], [REDUCED, None], "small version"),
    ],
    ids=["one behind", "two in front", "all reduced", "nothing else", "behind", "16-bit"],
)
def test_a_small_version_in_front_is_not_the_image(pages, tags, note):
    loaded = read_image(tiff(*pages, photometric=2, tags=tags))
    assert np.abs(np.asarray(loaded.image, int) - FULL).max() <= 1
    assert note in " ".join(loaded.notes)


def test_a_preview_before_what_a_sensor_measured_is_a_raw_image():
    sensor = {262: [32803]}
    for data in (tiff(SMALL, WIDE[..., :1], photometric=2, tags=[REDUCED, sensor]), tiff(WIDE[..., :1], tags=[sensor])):
        with pytest.raises(ImageError, match="Raw camera"):
            read_image(data)


UNKNOWN = {
    "24 bits of 3 bytes": tiff(WIDE, photometric=2, tags=[{258: [24] * 3}]),
    "palette of 16 bits": tiff(WIDE[..., 0], photometric=3),
    "complex numbers": tiff(FLOAT, tags=[{339: [6]}]),
    "mixed samples": tiff(WIDE, photometric=2, planar=True, tags=[{339: [1, 2, 1]}]),
    "a hundred bands": tiff(np.zeros((16, 16, 100), np.uint16)),
}


def test_a_refusal_does_not_list_hundreds_of_numbers():
    with pytest.raises(ImageError, match=r"cannot be read here \(1 × [\d, ]{,30} bits\)"):
        read_image(tiff(WIDE[..., 0], tags=[{258: list(range(17, 400))}]))


@pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN)
def test_other_kinds_are_refused_in_a_true_sentence(data):
    with pytest.raises(ImageError, match=r"cannot be read here|damaged, incomplete or of a rare kind"):
        read_image(data)


def test_limits_speak_before_anything_is_unpacked(monkeypatch):
    """A deflated strip of zeros is a thousandth of what it unpacks to."""
    data = tiff(np.zeros((64, 64), np.float64), compression="deflate", tags=[{256: [60_000], 257: [60_000]}])
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(ImageError, match="megapixels"):
        read_image(data)


@pytest.mark.parametrize("tags", [{322: [2**28]}, {323: [2**28]}, {322: [2**31 - 16], 323: [2**31 - 16]}], ids=["width", "height", "both"])
def test_a_small_image_of_huge_tiles_is_no_bomb(tags):
    with pytest.raises(ImageError, match=r"cannot be read here|damaged"):
        read_image(tiff(FLOAT, tile=16, tags=[tags]))


def test_a_strip_that_unpacks_to_more_than_it_should_is_no_bomb():
    values = np.rint(RAMP * 65535).astype(np.uint16)
    bomb = zlib.compress(values.tobytes() + bytes(200_000_000), 9)
    data = bytearray(tiff(values, photometric=0, compression="deflate"))
    at = len(data)
    with Image.open(io.BytesIO(tiff(values, compression="deflate"))) as image:
        (offset,) = image.tag_v2[273]
    place = data.rindex(offset.to_bytes(4, "little"))
    data[place : place + 4] = at.to_bytes(4, "little")
    count = data.rindex(len(zlib.compress(values.tobytes())).to_bytes(4, "little"))
    data[count : count + 4] = len(bomb).to_bytes(4, "little")
    loaded = read_image(bytes(data) + bomb, limits=ImageLimits(max_pixels=10_000))
    assert np.abs(np.asarray(loaded.image) - (255 - GRAY_8)).max() <= 1


@pytest.mark.parametrize("photometric", [0, 1], ids=["read here", "read by Pillow"])
def test_pixels_that_are_not_there_are_reported_as_missing(photometric):
    """The strips lie behind the file's end: it was cut there."""
    data = tiff(WIDE[..., 0], photometric=photometric, rows=8)
    with Image.open(io.BytesIO(tiff(WIDE[..., 0], rows=8))) as image:
        offsets = image.tag_v2[273]
    broken = bytearray(data)
    for offset in offsets[3:]:
        place = broken.rindex(offset.to_bytes(4, "little"))
        broken[place : place + 4] = (2**24).to_bytes(4, "little")
    loaded = read_image(bytes(broken))
    assert loaded.notes[0] == "The file is cut off or damaged: a part of the image is missing."
    assert not loaded.is_complete
    expected = 255 - GRAY_8 if photometric == 0 else GRAY_8
    assert np.abs(np.asarray(loaded.image)[:24] - expected[:24]).max() <= 1
