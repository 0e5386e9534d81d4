"""Tests that any file, image object or array results in an upright 8-bit RGB image or a clear error."""

from __future__ import annotations

import contextlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from detection_core.images.limits import ImageLimits
from detection_core.images.reading import ImageError, encode_jpeg, load_image, read_image
from tests.images.samples import SRGB, difference, encoded, exif, ftyp, png_16_bit, png_header, scene

# Pillow's own remarks on broken metadata; a test that must see no warning says so itself.
pytestmark = pytest.mark.filterwarnings("ignore:(Corrupt EXIF data|Truncated File Read)")

FORMATS = {
    # name: (file, expected image, tolerance, format, web_safe, part of the note)
    "jpeg": (encoded(scene(), "JPEG", quality=95), scene(), 8, "JPEG", True, None),
    "jpeg-progressive": (encoded(scene(), "JPEG", quality=95, progressive=True), scene(), 8, "JPEG", True, None),
    "jpeg-gray": (encoded(scene(mode="L"), "JPEG", quality=95), scene(mode="L"), 4, "JPEG", True, None),
    "jpeg-cmyk": (encoded(scene(mode="CMYK"), "JPEG", quality=95), scene(), 8, "JPEG", False, "CMYK"),
    "png": (encoded(scene(), "PNG"), scene(), 0, "PNG", True, None),
    "png-1": (encoded(scene(mode="1"), "PNG"), scene(mode="1"), 0, "PNG", True, None),
    "png-gray": (encoded(scene(mode="L"), "PNG"), scene(mode="L"), 0, "PNG", True, None),
    "png-palette": (encoded(scene(mode="P"), "PNG"), scene(mode="P"), 0, "PNG", True, None),
    "png-opaque-rgba": (encoded(scene(mode="RGBA"), "PNG"), scene(), 0, "PNG", True, None),
    "webp": (encoded(scene(), "WEBP", quality=95), scene(), 12, "WebP", True, None),
    "webp-lossless": (encoded(scene(), "WEBP", lossless=True), scene(), 0, "WebP", True, None),
    "bmp": (encoded(scene(), "BMP"), scene(), 0, "BMP", True, None),
    "bmp-1": (encoded(scene(mode="1"), "BMP"), scene(mode="1"), 0, "BMP", True, None),
    "gif": (encoded(scene(mode="P"), "GIF"), scene(mode="P"), 0, "GIF", True, None),
    "tiff": (encoded(scene(), "TIFF"), scene(), 0, "TIFF", False, None),
    "tiff-lzw": (encoded(scene(), "TIFF", compression="tiff_lzw"), scene(), 0, "TIFF", False, None),
    "tiff-big": (encoded(scene(), "TIFF", big_tiff=True), scene(), 0, "TIFF", False, None),
    "tiff-cmyk": (encoded(scene(mode="CMYK"), "TIFF"), scene(), 0, "TIFF", False, "CMYK"),
    "tiff-jpeg-ycbcr": (encoded(scene(), "TIFF", compression="jpeg", quality=95), scene(), 8, "TIFF", False, None),
    "tiff-lab": (encoded(scene(mode="LAB"), "TIFF"), scene(), 12, "TIFF", False, None),
    "avif": (encoded(scene(), "AVIF", quality=95), scene(), 12, "AVIF", True, None),
    "mpo": (encoded(scene(), "MPO", save_all=True, append_images=[scene(mode="L")], quality=95), scene(), 8, "MPO", False, "2 images"),
    "gif-animated": (encoded(scene(mode="P"), "GIF", save_all=True, append_images=[scene().rotate(a).convert("P") for a in (90, 180)]),
                     scene(mode="P"), 0, "GIF", False, "Animated GIF with 3 frames: only the first one is used."),
    "webp-animated": (encoded(scene(), "WEBP", save_all=True, append_images=[scene().rotate(180)], lossless=True),
                      scene(), 0, "WebP", False, "Animated WebP with 2 frames: only the first one is used."),
    "png-animated": (encoded(scene(), "PNG", save_all=True, append_images=[scene().rotate(180)]),
                     scene(), 0, "PNG", False, "Animated PNG with 2"),
    "avif-animated": (encoded(scene(), "AVIF", save_all=True, append_images=[scene().rotate(180)], quality=95),
                      scene(), 12, "AVIF", False, "Animated AVIF with 2"),
    "tiff-pages": (encoded(scene(), "TIFF", save_all=True, append_images=[scene().rotate(180)] * 2), scene(), 0, "TIFF", False, "3 pages"),
    "png-16-bit-rgb": (png_16_bit(np.asarray(scene(), np.uint16) * 257), scene(), 0, "PNG", False, "16-bit"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "expected", "tolerance", "name", "web_safe", "note"), FORMATS.values(), ids=FORMATS)
def test_every_format_becomes_rgb(data, expected, tolerance, name, web_safe, note):
    loaded = read_image(data)
    assert loaded.image.mode == "RGB"
    assert difference(loaded.image, expected) <= tolerance
    assert (loaded.format, loaded.web_safe) == (name, web_safe)
    assert (note in " ".join(loaded.notes)) if note else loaded.notes == ()


# ---- orientation --------------------------------------------------------------------------------------------------------------------

# What a viewer does to the stored pixels (EXIF 2.32): row and column of the stored image that land at the upper left, and so on.
STORED_AS = {
    1: lambda up: up,
    2: lambda up: up[:, ::-1],
    3: lambda up: up[::-1, ::-1],
    4: lambda up: up[::-1],
    5: lambda up: up.swapaxes(0, 1),
    6: lambda up: up.swapaxes(0, 1)[::-1],
    7: lambda up: up.swapaxes(0, 1)[::-1, ::-1],
    8: lambda up: up.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize(("file_format", "tolerance"), [("JPEG", 8), ("PNG", 0), ("WEBP", 0), ("TIFF", 0), ("AVIF", 12), ("MPO", 8)])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_images_are_turned_upright(orientation, file_format, tolerance):
    stored = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](np.asarray(scene()))))
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}, "MPO": {"quality": 95}}.get(file_format, {})
    loaded = read_image(encoded(stored, file_format, exif=exif(orientation), **options))
    assert difference(loaded.image, scene()) <= tolerance
    assert (
        loaded.web_safe == (file_format == "JPEG" or (orientation == 1 and file_format in {"PNG", "WEBP", "AVIF"})) or file_format == "MPO"
    )


@pytest.mark.parametrize("broken", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(99), exif(0)])
def test_broken_orientation_is_ignored(broken):
    loaded = read_image(encoded(scene(), "JPEG", quality=95, exif=broken))
    assert difference(loaded.image, scene()) <= 8


def test_image_objects_are_not_turned_but_noted():
    image = Image.open(io.BytesIO(encoded(scene(), "PNG", exif=exif(6))))
    loaded = read_image(image)
    assert difference(loaded.image, scene()) == 0
    assert "orientation was not applied" in loaded.notes[0]


# ---- metadata, digest, sources ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 6])
def test_only_the_color_profile_of_the_metadata_stays(orientation):
    image = load_image(encoded(scene(), "JPEG", exif=exif(orientation), comment=b"secret place", icc_profile=SRGB))
    assert image.info == {"icc_profile": SRGB}
    assert b"secret" not in encoded(image, "PNG")


@pytest.mark.parametrize(("mode", "space"), [("L", b"GRAY"), ("CMYK", b"CMYK"), ("L", b"RGB "), ("RGB", b"CMYK")])
def test_profiles_for_other_colors_are_dropped(mode, space):
    profile = SRGB[:16] + space + SRGB[20:]
    assert load_image(encoded(scene(mode=mode), "JPEG", icc_profile=profile)).info == {}


def test_encode_jpeg_keeps_colors_and_profile():
    image = load_image(encoded(scene(), "PNG", icc_profile=SRGB))
    again = Image.open(io.BytesIO(encode_jpeg(image)))
    assert (again.format, again.info["icc_profile"]) == ("JPEG", SRGB)
    assert JpegImagePlugin.get_sampling(again) == 2  # 4:2:0
    assert difference(again, scene()) <= 12
    assert len(encode_jpeg(image, quality=30)) < len(encode_jpeg(image, quality=95))


def test_all_kinds_of_sources_give_the_same(tmp_path):
    data = encoded(scene(), "PNG")
    path = tmp_path / "image.of.unknown.kind"
    path.write_bytes(data)
    files = [read_image(source) for source in (data, io.BytesIO(data), path, str(path))]
    with path.open("rb") as stream:
        files.append(read_image(stream))
    memory = [read_image(source) for source in (scene(), np.asarray(scene()), np.asfortranarray(np.asarray(scene())))]
    assert all(difference(loaded.image, scene()) == 0 for loaded in files + memory)
    assert len({loaded.digest for loaded in files}) == len({loaded.digest for loaded in memory}) == 1
    assert [loaded.format for loaded in memory] == ["image object", "array", "array"]
    assert not any(loaded.web_safe for loaded in memory)


def test_many_threads_read_at_once():
    files = [data for data, *_ in FORMATS.values()]
    alone = [read_image(data).image.tobytes() for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: load_image(data).tobytes(), files * 4))
    assert together == alone * 4


def test_digests_differ_with_the_shape():
    flat = np.zeros((16, 32, 3), np.uint8)
    assert read_image(flat).digest != read_image(flat.reshape(32, 16, 3)).digest


def test_files_above_the_head_size_are_read_whole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / "noise.png"
    path.write_bytes(encoded(Image.fromarray(noise), "PNG"))
    np.testing.assert_array_equal(np.asarray(load_image(path)), noise)


@pytest.mark.parametrize("source", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.uint8)], ids=["gray", "rgb"])
def test_arrays_are_copied(source):
    image = load_image(source)
    source[:] = 200
    assert image.getextrema() == ((0, 0),) * 3


def test_image_objects_are_copied():
    given_image = scene()
    load_image(given_image).paste("black", (0, 0, 48, 32))
    assert difference(given_image, scene()) == 0


# ---- errors -------------------------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "empty": (b"", "empty"),
    "text": ("Grüße,\nthis is no image\n".encode(), "text file"),
    "text-cut-inside-a-letter": (("x" * 4095 + "ü").encode(), "text file"),
    "utf-16-text": ("hello".encode("utf-16"), "text file"),
    "json": (b'{"a": 1}', "text file"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "svg-with-prolog": (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "EPS"),
    "dos-eps": (b"\xc5\xd0\xd3\xc6" + b"\0" * 28, "EPS"),
    "eps-of-pillow": (encoded(scene(), "EPS"), "EPS"),
    "heic": (ftyp(b"heic", b"mif1", b"heic"), "Most Compatible"),
    "heif-mif1": (ftyp(b"mif1", b"heic"), "HEIC"),
    "mp4": (ftyp(b"isom", b"mp41"), "video"),
    "mov": (ftyp(b"qt  ", b"qt  "), "video"),
    "webm": (b"\x1a\x45\xdf\xa3" + b"\0" * 32, "video"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "video"),
    "zip": (b"PK\x03\x04" + b"\0" * 32, "archive"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 32, "archive"),
    "jpeg-2000": (encoded(scene(), "JPEG2000"), "JPEG 2000"),
    "jpeg-xl": (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    "photoshop": (b"8BPS\0\1" + b"\0" * 32, "Photoshop"),
    "icon": (encoded(scene(), "ICO"), "Icon"),
    "canon-raw": (b"II\x2a\0\x10\0\0\0CR\x02\0" + b"\0" * 32, "Raw camera"),
    "canon-raw-3": (ftyp(b"crx ", b"isom"), "Raw camera"),
    "dng-with-thumbnail": (encoded(scene(), "TIFF", tiffinfo={254: 1, 50706: b"\1\4\0\0"}), "Raw camera"),
    "targa": (encoded(scene(), "TGA"), "not an image that can be read"),
    "noise": (bytes(range(128, 256)) * 4, "not an image that can be read"),
    "letters-bm": (b"BMW builds cars in Munich and elsewhere.", "text file"),
    "png-signature-only": (b"\x89PNG\r\n\x1a\n", "PNG file is damaged"),
    "jpeg-signature-only": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "JPEG file is damaged"),
    "png-without-pixels": (png_header(64, 64), "PNG file is damaged"),
    "web-address": ("https://example.org/photo.jpg", "download"),
    "data-address": ("data:image/png;base64,AAAA", "download"),
    "text-stream": (io.StringIO("hello"), "binary mode"),
    "nothing": (None, "not NoneType"),
    "number": (3, "not int"),
    "float-array": (np.zeros((9, 9, 3)), "must be uint8"),
    "channels-first": (np.zeros((3, 9, 9), np.uint8), "[H,W,3]"),
    "batch": (np.zeros((1, 9, 9, 3), np.uint8), "[1, 9, 9, 3]"),
    "no-pixels": (np.zeros((0, 9, 3), np.uint8), "at least 8"),
    "null-in-name": ("a\0b.jpg", "could not be opened"),
    "endless-name": ("a" * 5000, "could not be opened"),
}


@pytest.mark.parametrize(("source", "part"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_explained_in_a_sentence(source, part):
    with pytest.raises(ImageError) as caught:
        read_image(source)
    message = str(caught.value)
    assert part in message
    assert message[0].isupper()
    assert message.endswith(".")
    assert len(message) < 200


def test_a_lazily_opened_truncated_object_is_refused():
    data = encoded(scene(), "PNG")
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_no_message_names_the_path(tmp_path):
    (tmp_path / "secret_broken.png").write_bytes(FORMATS["png"][0][:60])
    (tmp_path / "secret_text.jpg").write_text("hello")
    (tmp_path / "secret_folder").mkdir()
    for name, part in {
        "secret_broken.png": "damaged",
        "secret_text.jpg": "text file",
        "secret_folder": "folder",
        "secret_missing.png": "no such file",
        "secret_text.jpg/inside.png": "no such file",
    }.items():
        for source in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(ImageError, match=part) as caught:
                read_image(source)
            assert "secret" not in str(caught.value)
            assert "/" not in str(caught.value)


def test_forbidden_files(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(scene(), "PNG"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ImageError, match=r"^The file may not be opened: its permissions forbid it\.$"):
        read_image(path)


def test_videos_are_refused_by_their_first_bytes(tmp_path):
    path = tmp_path / "video.mp4"
    with path.open("wb") as file:
        file.write(ftyp(b"isom"))
        file.truncate(1 << 40)  # A sparse terabyte: reading it would fail.
    with pytest.raises(ImageError, match="video"):
        read_image(path)


# ---- fuzzing ------------------------------------------------------------------------------------------------------------------------

SMALL = ImageLimits(max_pixels=250_000)
SEEDS = [data for name, (data, *_) in FORMATS.items() if not name.startswith("avif")] + [FORMATS["avif"][0]]
MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"GIF89a",
    b"II\x2a\0",
    b"MM\0\x2a",
    b"BM" + b"\0" * 12 + b"\x28\0\0\0",
]


def reads_or_refuses(data):
    with contextlib.suppress(ImageError):
        assert read_image(data, limits=SMALL).image.mode == "RGB"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(magic, tail):
    reads_or_refuses(magic + tail)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), min_size=1, max_size=12),
    st.booleans(),
    st.floats(0.5, 1),
)
def test_mutated_files_raise_nothing_else(data, changes, in_head, kept):
    mutated = bytearray(data)
    reach = min(len(data), 200) if in_head else len(data)
    for where, value in changes:
        mutated[int(where * reach)] = value
    reads_or_refuses(bytes(mutated[: int(len(data) * kept)]) if kept < 0.75 else bytes(mutated))
