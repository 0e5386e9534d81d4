"""Images that every viewer opens are read, and where a part of the pixels is missing, that is said."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, PngImagePlugin

from detection_core.images.limits import ImageError, ImageLimits
from detection_core.images.reading import load_image, read_image
from tests.images.samples import SRGB, chunk, encoded


def noise(width=120, height=96, mode="RGB"):
    """Compresses badly, so that each part of a file holds its part of the image; smooth enough for JPEG."""
    small = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR).convert(mode)


def png_info(**texts):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", **texts)
    return info


def with_chunks(*chunks):
    """The PNG with chunks behind its header."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


IMAGE = noise()
OTHER = Image.new("RGB", IMAGE.size, "navy")
JPEG = encoded(IMAGE, "JPEG", quality=90)
PROGRESSIVE = encoded(IMAGE, "JPEG", quality=90, progressive=True)
RESTARTS = encoded(IMAGE, "JPEG", quality=90, restart_marker_rows=1)
PNG = encoded(IMAGE, "PNG")
GIF = encoded(IMAGE, "GIF", interlace=0)
BMP = encoded(IMAGE, "BMP")
WEBP = encoded(IMAGE, "WEBP", lossless=True)
MOVING_WEBP = encoded(IMAGE, "WEBP", lossless=True, save_all=True, append_images=[noise().rotate(180)])
MPO = encoded(IMAGE, "MPO", save_all=True, append_images=[IMAGE], quality=90)
ITXT = PngImagePlugin.PngInfo()
ITXT.add_itxt("workflow", "é" * 800_000, zip=True)
LARGE_PROFILE = SRGB + os.urandom(16) * 70_000
END = b"\xff\xd9"
GRAY = encoded(noise(mode="L"), "JPEG", quality=90)
PALETTE = encoded(noise(mode="P"), "PNG")
TIFF = encoded(IMAGE, "TIFF", compression="raw")
INTACT = {"gray": GRAY, "palette": PALETTE, "jpeg": JPEG, "mpo": MPO, "png": PNG, "gif": GIF, "bmp": BMP, "tiff": TIFF}

READABLE = {
    # Files that hold all of the image.
    "jpeg without its end": JPEG[:-2],
    "jpeg with half its end": JPEG[:-1],
    "jpeg, progressive, without its end": PROGRESSIVE[:-2],
    "jpeg with restarts, without its end": RESTARTS[:-2],
    "jpeg without its end, filled up": JPEG[:-2] + bytes(5000),
    "jpeg filled up": JPEG + bytes(5000),
    "jpeg with bytes behind it": JPEG + os.urandom(5000),
    "jpeg behind a blank line": b"\r\n" + JPEG,
    "jpeg behind a byte-order mark": b"\xef\xbb\xbf" + JPEG,
    "jpeg whose list of images is broken": JPEG[:2] + b"\xff\xe2\0\x0cMPF\0II*\0\xff\xff" + JPEG[2:],
    "jpeg with a broken orientation": JPEG[:2] + b"\xff\xe1\0\x1eExif\0\0MM\0*\xff\xff\xff\xff" + bytes(14) + JPEG[2:],
    "mpo": MPO,
    "mpo cut in its second image": MPO[: len(MPO) * 3 // 4],
    "mpo without its second image": MPO[: MPO.index(END) + 2],
    "png with a large compressed text": encoded(IMAGE, "PNG", pnginfo=png_info(value="x" * 1_300_000, zip=True)),
    "png with a large text": encoded(IMAGE, "PNG", pnginfo=png_info(value="x" * 1_300_000)),
    "png with a large international text": encoded(IMAGE, "PNG", pnginfo=ITXT),
    "png with many large texts": with_chunks(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))] * 9),
    "png with a large profile": encoded(IMAGE, "PNG", icc_profile=LARGE_PROFILE),
    "png with a broken profile": with_chunks(chunk(b"iCCP", b"x\0\0notzlib")),
    "png with a wrong checksum of a text": with_chunks(chunk(b"tEXt", b"a\0b", 1)),
    "png with a wrong checksum of its size in print": with_chunks(chunk(b"pHYs", bytes(9), 1)),
    "png with a wrong checksum of its profile": with_chunks(chunk(b"iCCP", b"x\0\0" + zlib.compress(SRGB), 1)),
    "png with a short chunk": with_chunks(chunk(b"pHYs", b"\0")),
    "png with an unknown chunk": with_chunks(chunk(b"teSt", b"?" * 50), chunk(b"LOOK", b"")),
    "png without its end": PNG[:-12],
    "png with bytes behind it": PNG + b"garbage" * 100,
    "png with an animation cut off": encoded(IMAGE, "PNG", save_all=True, append_images=[OTHER, IMAGE])[:-200],
    "png whose still image is no frame": encoded(IMAGE, "PNG", save_all=True, default_image=True, append_images=[OTHER] * 2),
    "gif without its end": GIF[:-1],
    "gif with bytes behind it": GIF + b"garbage" * 100,
    "webp that names too many bytes": WEBP[:4] + b"\xff\xff\xff\x7f" + WEBP[8:],
    "webp, animated, cut in its second frame": MOVING_WEBP[: len(MOVING_WEBP) * 3 // 4],
    "webp, animated, cut in its last bytes": MOVING_WEBP[:-3],
    "webp cut in its metadata": encoded(IMAGE, "WEBP", lossless=True, xmp=b"x" * 5000)[:-3000],
    "webp with bytes behind it": WEBP + b"garbage" * 100,
    "bmp with bytes behind it": BMP + b"garbage" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_what_holds_the_whole_image_is_read_whole(name):
    loaded = read_image(READABLE[name])
    intact = {"progressive": PROGRESSIVE, "mpo": MPO, "jpeg": JPEG, "webp": WEBP, "png": PNG, "gif": GIF, "bmp": BMP}
    expected = read_image(next(file for kind, file in intact.items() if kind in name)).image
    assert loaded.image.tobytes() == expected.tobytes()
    assert loaded.is_complete
    assert "cut off" not in " ".join(loaded.notes)


def test_the_still_image_of_an_animation_is_called_so():
    data = READABLE["png whose still image is no frame"]
    assert read_image(data).notes == ("Animated PNG with 2 frames: only the still image in front of them is used.",)
    assert read_image(READABLE["mpo"]).notes == ("MPO file with 2 images: only the first one is used.",)


def test_a_small_profile_stays_and_a_large_one_goes():
    assert read_image(encoded(IMAGE, "PNG", icc_profile=SRGB)).image.info == {"icc_profile": SRGB}
    assert read_image(READABLE["png with a large profile"]).image.info == {}


CUT = {
    # name: (file, from which row on the image may be wrong, part of the note)
    "jpeg, a row of blocks missing": (JPEG[:-40], 64, r"about (\d|1\d|2\d|3\d) % of the image is missing"),
    "jpeg, half": (JPEG[: len(JPEG) // 2], 16, r"about [4-8]\d % of the image is missing"),
    "jpeg, half, closed": (JPEG[: len(JPEG) // 2] + END, 16, r"about [4-8]\d % of the image is missing"),
    "jpeg, half, filled up": (JPEG[: len(JPEG) // 2] + bytes(9000), 16, r"about [4-8]\d % of the image is missing"),
    "jpeg with restarts, half": (RESTARTS[: len(RESTARTS) // 2], 16, r"about [4-8]\d % of the image is missing"),
    "jpeg, gray": (GRAY[:-60], 48, r"about \d+ % of the image is missing"),
    "jpeg, progressive, half": (PROGRESSIVE[: len(PROGRESSIVE) // 2], 0, "lacks detail"),
    "jpeg, progressive, half, closed": (PROGRESSIVE[: len(PROGRESSIVE) // 2] + END, 0, "lacks detail"),
    "mpo cut in its first image": (MPO[: MPO.index(END) * 2 // 3], 16, "% of the image is missing"),
    "png, half": (PNG[: len(PNG) // 2], 30, "a part of the image is missing"),
    "png, the last pixels": (PNG[:-40], 90, "a part of the image is missing"),
    "png, half of its chunk there and closed": (PNG[: len(PNG) // 2] + chunk(b"IEND", b""), 30, "a part of the image is missing"),
    "png, damaged in the middle": (PNG[: len(PNG) // 2] + b"\xff" * 99 + PNG[len(PNG) // 2 + 99 :], 20, "parts? of the image"),
    "png, palette": (PALETTE[:-2000], 10, "a part of the image is missing"),
    "gif, half": (GIF[: len(GIF) // 2], 30, "a part of the image is missing"),
    "bmp, half": (BMP[: len(BMP) // 2], 0, "a part of the image is missing"),
    "tiff, the last rows": (TIFF[:-9000], 60, "a part of the image is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_what_is_missing_is_said(name):
    data, right, note = CUT[name]
    loaded = read_image(data)
    assert re.search(note, loaded.notes[0])
    assert loaded.image.size == IMAGE.size
    assert not loaded.is_complete
    assert not loaded.web_safe
    intact = next(file for kind, file in INTACT.items() if kind in name)
    expected = np.asarray(read_image(intact).image, int)
    assert np.abs(np.asarray(loaded.image, int) - expected)[:right].max(initial=0) <= 1


def test_the_missing_part_of_a_turned_image_is_said_all_the_same():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(IMAGE, "JPEG", quality=90, exif=exif)
    loaded = read_image(data[: len(data) // 2])
    assert loaded.image.size == IMAGE.size[::-1]
    assert "% of the image is missing" in loaded.notes[0]


NOTHING_THERE = {
    "jpeg, header only": JPEG[: JPEG.index(b"\xff\xda")],
    "jpeg, a few bytes of pixels": JPEG[: JPEG.index(b"\xff\xda") + 30],
    "png, header only": PNG[:41],
    "gif, header only": GIF[:800],
    "webp, half": encoded(IMAGE, "WEBP")[:900],
    "avif, half": encoded(IMAGE, "AVIF")[:900],
}


@pytest.mark.parametrize("data", NOTHING_THERE.values(), ids=NOTHING_THERE)
def test_where_nothing_can_be_shown_the_file_is_refused(data):
    with pytest.raises(ImageError, match="damaged, incomplete or of a rare kind"):
        read_image(data)


def test_a_damaged_later_frame_is_said(monkeypatch):
    def fail(self):
        raise IndexError("index out of range")

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "n_frames", property(fail))
    loaded = read_image(GIF)
    assert loaded.is_complete
    assert loaded.notes == ("A later part of this GIF file is damaged: only the first image is used.",)


WHOLE = {"jpeg": JPEG, "progressive jpeg": PROGRESSIVE, "jpeg with restarts": RESTARTS, "png": PNG, "gif": GIF, "bmp": BMP, "mpo": MPO}


RESTART_MARKERS = [match.start() for match in re.finditer(rb"\xff[\xd0-\xd7]", RESTARTS)]


@pytest.mark.parametrize("behind", [b"", END, bytes(500)], ids=["nothing", "end", "zeros"])
@pytest.mark.parametrize("kept", [0, 1, 2], ids=["before it", "in it", "behind it"])
@pytest.mark.parametrize("rows", range(1, 1 + len(RESTART_MARKERS)))
def test_a_file_that_ends_at_a_restart_marker_is_not_taken_for_a_whole_one(rows, kept, behind):
    # One marker follows each row of blocks of 16 pixels; chroma is interpolated from the missing row.
    loaded = read_image(RESTARTS[: RESTART_MARKERS[rows - 1] + kept] + behind)
    assert re.search(
        rf"about ({round(100 * (1 - rows / 6))}|{round(100 * (1 - (16 * rows - 1) / 96))}) % of the image is missing", loaded.notes[0]
    )


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(kept=st.floats(0, 0.995), tail=st.sampled_from(["nothing", "end", "zeros"]))
def test_no_file_that_ends_early_is_taken_for_a_whole_one(name, kept, tail):
    whole = WHOLE[name]
    # If a file is closed in the last block of its first image, nothing shows that it was cut off; that of an MPO is half of the file.
    kept = min(kept, 0.47 if name == "mpo" else 0.95) if tail == "end" else kept
    # Zeros are pixels of a BMP.
    behind = {"nothing": b"", "end": END, "zeros": b"" if name == "bmp" else bytes(500)}[tail]
    with contextlib.suppress(ImageError):
        loaded = read_image(whole[: int(len(whole) * kept)] + behind)
        # Closed in its last scan, a progressive JPEG lacks the last bit of some of its detail.
        allowed = 8 if (name, tail) == ("progressive jpeg", "end") else 0
        difference = np.abs(np.asarray(loaded.image, int) - np.asarray(read_image(whole).image, int)).max()
        assert not loaded.is_complete or difference <= allowed


def test_limits_hold_for_files_that_are_repaired():
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000_000)))
    with pytest.raises(ImageError, match="megapixels"):
        read_image(bomb)
    at = JPEG.index(b"\xff\xc0") + 5
    with pytest.raises(ImageError, match="megapixels"):
        read_image(JPEG[:at] + struct.pack(">HH", 30_000, 30_000) + JPEG[at + 4 : -9])
    with pytest.raises(ImageError, match="megapixels"):
        read_image(JPEG[:-9], limits=ImageLimits(max_pixels=1000))


def test_python_is_warned_of_an_image_with_a_part_missing():
    with pytest.warns(UserWarning, match="% of the image is missing"):
        load_image(JPEG[:-40])
