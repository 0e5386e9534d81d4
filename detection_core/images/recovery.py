"""Recovers the pixels of files that are cut off, or that contain metadata for which Pillow refuses them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile

PART_MISSING = "The file is cut off or damaged: a part of the image is missing."

_LACKS_DETAIL = "The file is cut off: the image lacks detail, or a part of it is missing."

# Portable Network Graphics (third edition): the chunks for pixels, colors, orientation and the number of frames.
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_USED_CHUNKS = _PIXEL_CHUNKS | {b"tRNS", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
# Pillow refuses an image with a larger profile.
_LARGEST_PROFILE = 2**20
_END_OF_JPEG = b"\xff\xd9"
# Arbitrary entropy-coded data: parts of the image that change when it is appended are not in the file.
_ENTROPY_CODED = b"\x55" * 4096
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_PADDING = 8
# It would form a marker with the bytes that are appended.
_HALF_A_MARKER = b"\xff"
# After the start of a scan: the next marker that is neither a stuffed byte nor a restart.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_UNDECODED = 128


def png_for_pixels(data: bytes) -> tuple[bytes, list[str]]:
    """Returns a PNG without texts and other chunks that are not used here, and notes for the user.

    Pillow refuses an image for a text or a profile of more than 1 MiB, and for a wrong checksum of any chunk, although
    neither is needed to show the image. Chunks of pixels with a wrong checksum are kept, with a note.
    """
    parts, is_damaged, at = [data[:8]], False, 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        stored = data[at + 8 + length : at + 12 + length]
        at += 12 + length
        if kind not in _USED_CHUNKS or (kind == b"iCCP" and not _is_usable_profile(body)):
            continue
        checksum = struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
        is_whole = len(stored) == len(checksum)
        if stored != checksum and kind not in _PIXEL_CHUNKS:
            continue
        # A file that ends in the middle of its pixels is detected when they are decoded.
        is_damaged |= is_whole and stored != checksum
        parts += [struct.pack(">I", len(body)), kind, body, checksum]
        if kind == b"IEND":
            break
    return b"".join(parts), ["The file is damaged: parts of the image may be wrong."] if is_damaged else []


def _is_usable_profile(body: bytes) -> bool:
    try:
        decoder = zlib.decompressobj()
        return len(decoder.decompress(body.partition(b"\0")[2][1:], _LARGEST_PROFILE + 1)) <= _LARGEST_PROFILE
    except zlib.error:
        return False


def whole_chunks_of_webp(data: bytes) -> tuple[bytes, list[str]]:
    """Returns a WebP up to its last complete chunk, with its length corrected, and notes for the user.

    The header may give more bytes than there are: the file was cut off in a later frame or in metadata, or was written by a program that
    did not know the length beforehand.
    """
    at, frames = 12, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sL", data, at)
        if at + 8 + length > len(data):
            break
        frames += kind == b"ANMF"
        at += 8 + length + length % 2
    whole = data[:at] + b"\0" * max(0, at - len(data))
    notes = ["A later part of this WebP file is damaged: only the first image is used."] if frames and at < len(data) else []
    return whole[:4] + struct.pack("<L", len(whole) - 8) + whole[8:], notes


def load_what_is_there(image: ImageFile.ImageFile) -> bool:
    """Decodes as much of an opened image as its file contains.

    Returns:
        Whether the image is complete.

    Raises:
        OSError: If no pixel can be decoded.
    """
    try:
        image.load()
    except (OSError, SyntaxError):
        # The image keeps the decoded part, and load() accepts it when no tiles are left to decode.
        image.tile = []
        image.load()
        if image.getbbox() is None:
            raise
        return False
    return True


def load_jpeg(data: bytes, read: Callable[[bytes], ImageFile.ImageFile], image: ImageFile.ImageFile) -> tuple[Image.Image, str]:
    """Decodes a JPEG that may end early.

    Args:
        data: The file.
        read: Opens an image from the bytes of a file.
        image: The image that `read` opened from `data`.

    Returns:
        The image, and a sentence on what is missing, or "" if it is complete.

    Raises:
        OSError: If no pixel can be decoded.
    """
    body = _without_padding(data)
    # Zeros after the end are harmless, but zeros in place of pixels would be decoded as pixels.
    is_filled_up = len(body) < len(data) and not body.endswith(_END_OF_JPEG)
    try:
        image.load()
    except OSError:
        pass
    else:
        if image.info.get("progressive") and not _has_all_scans(data):
            return image, _LACKS_DETAIL
        if not is_filled_up and not _ends_undecoded(image):
            return image, ""
        body = body if is_filled_up else data[: _end_of_scans(data)].rstrip(_HALF_A_MARKER)
    decoded = read(body + _END_OF_JPEG)
    decoded.load()
    other = read(body + _other_tail(body) + _END_OF_JPEG)
    other.load()
    wrong = (np.asarray(decoded) != np.asarray(other)).reshape(decoded.height, -1).any(axis=1)
    is_sequential = _has_all_scans(body)
    first = int(wrong.argmax())
    if _is_undecoded(decoded) or (is_sequential and wrong[0]):
        raise OSError("no pixels")
    if not is_sequential:
        return decoded, _LACKS_DETAIL
    share = max(1, round(100 * (1 - first / decoded.height)))
    return decoded, f"The file is cut off: about {share} % of the image is missing." if wrong.any() else ""


def _other_tail(body: bytes) -> bytes:
    """Returns what may follow a JPEG that ends early: arbitrary data up to the next restart marker, and behind each of the next eight."""
    restarts = _RESTART.findall(body)
    following = restarts[-1][0] + 1 if restarts else 0xD0
    return _ENTROPY_CODED + b"".join(bytes((0xFF, 0xD0 | (following + i) & 7)) + _ENTROPY_CODED for i in range(8))


def _without_padding(data: bytes) -> bytes:
    """Removes the zeros that fill up recovered files and unfinished downloads."""
    stripped = data.rstrip(b"\0")
    body = stripped if len(data) - len(stripped) > _PADDING else data
    return body.rstrip(_HALF_A_MARKER)


def _ends_undecoded(image: Image.Image) -> bool:
    """Returns whether the last pixel is the gray with which libjpeg fills the rest of an image whose file ends early."""
    width, height = image.size
    return _is_undecoded(image.crop((width - 1, height - 1, width, height)))


def _is_undecoded(image: Image.Image) -> bool:
    extrema = np.reshape(image.getextrema(), (-1, 2))
    return bool((extrema[:3] == _UNDECODED).all())


def _end_of_scans(data: bytes) -> int:
    """Returns the position of the end-of-image marker, or the length of the data without one."""
    position = len(data)
    for marker, at, _ in _markers(data):
        if marker == 0xD9:
            position = at
    return position


def _has_all_scans(data: bytes) -> bool:
    """Returns whether the file contains scans with the last bit of every coefficient of every component."""
    needed: set[int] = set()
    exact: dict[int, set[int]] = {}
    for marker, _, segment in _markers(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(segment) > 6:
            needed = set(segment[6::3])
        elif marker == 0xDA and segment:
            count = segment[0]
            first, last, bits = segment[1 + 2 * count : 4 + 2 * count] or (0, 63, 0)
            for component in segment[1 : 1 + 2 * count : 2]:
                if not bits & 15:
                    exact.setdefault(component, set()).update(range(first, max(first, last) + 1))
    return all(len(exact.get(component, ())) >= 64 for component in needed)


def _markers(data: bytes) -> list[tuple[int, int, bytes]]:
    """Returns each marker of a JPEG with its position and the content of its segment, up to the end of the image or the file."""
    found, at = [], 2
    while match := _NEXT_MARKER.search(data, at):
        at, marker = match.start(), data[match.start() + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, at, data[at + 4 : at + 2 + length]))
        if marker == 0xD9:
            break
        at += 2 + (0 if marker in (0x01, 0xD8) else length)
    return found
