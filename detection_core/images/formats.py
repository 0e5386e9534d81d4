"""Identifies an image format by a file's first bytes, or explains why the file cannot be read and what to do."""

from __future__ import annotations

import codecs
import re

READABLE = "JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF"
RAW_IMAGE = "Raw camera images cannot be read here: export the image as JPEG or PNG first."

# Number of bytes that `identify` and `why_unreadable` examine.
HEAD_BYTES = 4096

_HEIC = "HEIC images cannot be read here: export the image as JPEG, or set the iPhone camera to “Most Compatible” in its formats."
_VIDEO = "This is a video or sound recording, not an image: save one of its frames as JPEG or PNG."
_ARCHIVE = "This is an archive, not an image: unpack it and choose an image inside."
_DOCUMENT = "{} documents cannot be read here: export the page as PNG or JPEG."
_OTHER_IMAGE = "{} images cannot be read here: export the image as PNG or JPEG."
_TEXT = "This is a text file, not an image. Choose a " + READABLE + " file."
_UNKNOWN = "This is not an image that can be read here. Choose a " + READABLE + " file."

# BMP's signature is only two letters, so the size of the second header (Windows and OS/2 versions) is checked as well.
_BMP = re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)
_IMAGES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebP"),
    (_BMP, "BMP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"(?!.{8}CR)(II[\x2a\x2b]\x00|MM\x00[\x2a\x2b])", re.DOTALL), "TIFF"),
)
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb".{0,1024}%PDF-", re.DOTALL), _DOCUMENT.format("PDF")),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), _DOCUMENT.format("PostScript and EPS")),
    (re.compile(rb".{0,2048}<svg[\s>]", re.DOTALL | re.IGNORECASE), _OTHER_IMAGE.format("SVG")),
    (
        re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE),
        "This is a web page, not an image: open it in a browser and save the image itself.",
    ),
    (re.compile(rb"II\x2a\x00.{4}CR|IIRO|IIRS|MMOR|IIU\x00|FUJIFILM|.{4}ftypcrx ", re.DOTALL), RAW_IMAGE),
    (re.compile(rb"\x00\x00\x00\x0cjP {2}|\xff\x4f\xff\x51"), _OTHER_IMAGE.format("JPEG 2000")),
    (re.compile(rb"\x00\x00\x00\x0cJXL |\xff\x0a"), _OTHER_IMAGE.format("JPEG XL")),
    (re.compile(rb"8BPS"), _OTHER_IMAGE.format("Photoshop")),
    (re.compile(rb"\x00\x00\x01\x00"), _OTHER_IMAGE.format("Icon")),
    (re.compile(rb"PK\x03\x04|PK\x05\x06|\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!|BZh|\xfd7zXZ"), _ARCHIVE),
    (re.compile(rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}(AVI |WAVE)|\x00\x00\x01[\xb3\xba]|FLV\x01|OggS|ID3", re.DOTALL), _VIDEO),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_BLANKS = b"\r\n\t \xef\xbb\xbf"


def identify(data: bytes) -> str | None:
    """Returns the name of the image format, one of those in `READABLE`, or None.

    Args:
        data: The file, or at least its first `HEAD_BYTES`.
    """
    if _brands(data) & _AVIF_BRANDS:
        return "AVIF"
    return next((name for pattern, name in _IMAGES if pattern.match(data)), None)


def without_blanks(data: bytes) -> bytes:
    """Returns a file without blanks before its image: scripts that send one often send a blank line first."""
    return data if identify(data) else data.lstrip(_BLANKS)


def why_unreadable(data: bytes) -> str:
    """Returns a sentence that says what a file is that `identify` does not recognize, and what to do.

    Args:
        data: The file, or at least its first `HEAD_BYTES`.
    """
    head = data[:HEAD_BYTES]
    if not head:
        return "The file is empty: save or download the image again."
    if _brands(head) & _HEIC_BRANDS:
        return _HEIC
    sentence = next((sentence for pattern, sentence in _OTHERS if pattern.match(head)), None)
    return sentence or (_TEXT if _is_text(head) else _UNKNOWN)


def may_be_video(data: bytes) -> bool:
    """Returns whether a file may contain a video: it starts like one, or in a way that is not recognized.

    Args:
        data: The file, or at least its first `HEAD_BYTES`.
    """
    return bool(data) and identify(data) is None and why_unreadable(data) in {_VIDEO, _UNKNOWN}


def _brands(data: bytes) -> set[bytes]:
    """Returns the major and compatible brands of an ISO media file (MP4, HEIC, AVIF); empty for any other file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), HEAD_BYTES)
    return {data[8:12]} | {data[i : i + 4] for i in range(16, end, 4)}


def _is_text(head: bytes) -> bool:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0e-\x1a]", text)
