"""Makes TIFFs of kinds that Pillow does not write."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

_KINDS = {"u": 1, "i": 2, "f": 3}
_COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8}


def tiff(
    *pages,
    order="<",
    big=False,
    planar=False,
    photometric=1,
    compression="none",
    predictor=1,
    tile=None,
    rows=None,
    no_data=None,
    tags=(),
):
    """A TIFF of arrays [H,W] or [H,W,S]; `tags` has more for each page, a tag's number and its values, or None for the usual ones."""
    data, directories = bytearray(b"\0" * 16), []
    for number, page in enumerate(pages):
        values = page if page.ndim == 3 else page[..., None]
        height, width, samples = values.shape
        offsets, counts = [], []
        for plane in [values[..., [index]] for index in range(samples)] if planar else [values]:
            for block in _blocks(plane, tile, rows):
                content = _packed(_predicted(block, predictor, order), compression)
                offsets.append(len(data))
                counts.append(len(content))
                data += content + b"\0" * (len(content) % 2)
        kind, bits = _KINDS[values.dtype.kind], 8 * values.dtype.itemsize
        entries = {256: [width], 257: [height], 258: [bits] * samples, 259: [_COMPRESSIONS[compression]], 262: [photometric]}
        entries |= {277: [samples], 284: [1 + planar], 317: [predictor], 339: [kind] * samples}
        if tile:
            entries |= {322: [tile], 323: [tile], 324: offsets, 325: counts}
        else:
            entries |= {273: offsets, 278: [rows or height], 279: counts}
        more = (tags[number] if tags else None) or {}
        entries |= more
        if no_data is not None:
            entries[42113] = no_data.encode() + b"\0"
        at = len(data)
        head, entry, room = ("Q", "HHQ", 8) if big else ("H", "HHL", 4)
        letter = "Q" if big else "L"
        size = struct.calcsize(order + head) + len(entries) * (struct.calcsize(order + entry) + room) + room
        written, arrays = struct.pack(order + head, len(entries)), b""
        for tag, content in sorted(entries.items()):
            is_text = isinstance(content, bytes)
            type_ = 2 if is_text else 3 if tag in {258, 259, 262, 277, 284, 317, 339, 338, 274} else 4
            packed = content if is_text else struct.pack(order + "HL"[type_ == 4] * len(content), *content)
            written += struct.pack(order + entry, tag, type_, len(content))
            if len(packed) > room:
                written += struct.pack(order + letter, at + size + len(arrays))
                arrays += packed + b"\0" * (len(packed) % 2)
            else:
                written += packed.ljust(room, b"\0")
        directories.append((at + len(written), at))
        data += written + b"\0" * room + arrays
    letter = "Q" if big else "L"
    for (link, _), (_, following) in itertools.pairwise(directories):
        struct.pack_into(order + letter, data, link, following)
    mark = b"II" if order == "<" else b"MM"
    first = directories[0][1]
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, first) if big else struct.pack(order + "HL", 42, first))
    data[: len(head)] = head
    return bytes(data)


def _blocks(plane, tile, rows):
    height, width, _ = plane.shape
    if not tile:
        yield from (plane[y : y + (rows or height)] for y in range(0, height, rows or height))
        return
    padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
    for y in range(0, height, tile):
        yield from (padded[y : y + tile, x : x + tile] for x in range(0, width, tile))


def _predicted(block, predictor, order):
    unsigned = np.ascontiguousarray(block).view(f"u{block.dtype.itemsize}")
    if predictor == 2:
        unsigned = np.concatenate([unsigned[:, :1], np.diff(unsigned, axis=1)], axis=1)
    if predictor != 3:
        return unsigned.astype(unsigned.dtype.newbyteorder(order)).tobytes()
    height, _, samples = block.shape
    weights = unsigned.astype(unsigned.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1, block.dtype.itemsize)
    rows = np.moveaxis(weights, 2, 1).reshape(height, -1, samples)
    return np.concatenate([rows[:, :1], np.diff(rows, axis=1)], axis=1).tobytes()


def _packed(content, compression):
    if compression == "none":
        return content
    if compression == "deflate":
        return zlib.compress(content)
    stream = io.BytesIO()
    Image.frombytes("L", (len(content), 1), content).save(stream, "TIFF", compression="tiff_lzw")
    with Image.open(stream) as image:
        (offset,), (count,) = image.tag_v2[273], image.tag_v2[279]
    return stream.getvalue()[offset : offset + count]
