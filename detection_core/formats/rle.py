"""COCO's run-length encoding of masks, written by pycocotools and read by ourselves, because files from elsewhere may hold anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.detections import Detections

# A run is below 2³¹ pixels: seven characters of five bits.
_LONGEST_NUMBER = 7


def encode(detections: Detections) -> Iterator[dict[str, Any]]:
    """Each object's mask in compressed run-length encoding of the whole image, as JSON can hold it."""
    for crop, (x, y) in detections.mask_crops():
        full = np.zeros(detections.image_size, np.uint8, order="F")
        full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        encoded = coco_mask.encode(full)
        yield {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def area_of(run: dict[str, Any]) -> float:
    """Pixels of a mask as `encode` gives it."""
    return float(coco_mask.area(run))


def runs_of(counts: str | list[Any], pixels: int) -> NDArray[np.int64]:
    """Lengths of a mask's runs, column by column, of background and object in turn, beginning with background.

    pycocotools reads beyond the end of a damaged text, and writes beyond the mask when runs are too long.

    Args:
        counts: Compressed text, or the plain list.
        pixels: How many pixels the image has, which is what the runs must add up to.

    Raises:
        ValueError: If they cannot be read or do not add up.
    """
    if isinstance(counts, list):
        if not all(isinstance(count, int) and 0 <= count <= pixels for count in counts):
            raise ValueError("its run lengths are not whole numbers within the image")
        runs = np.array(counts, np.int64)
    else:
        runs = _uncompressed(counts)
    if np.any(runs < 0) or np.any(runs > pixels) or int(runs.sum()) != pixels:
        raise ValueError(f"its run lengths do not add up to the image's {pixels:,} pixels")
    return runs


def _uncompressed(text: str) -> NDArray[np.int64]:
    """Numbers in characters of five bits from "0" on, the sixth bit saying that more follow; from the fourth on differences, two back."""
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - ord("0")
    except UnicodeEncodeError:
        codes = np.array([-1])
    if np.any((codes < 0) | (codes > 63)) or (len(codes) and codes[-1] & 32):
        raise ValueError("its run lengths are no compressed run-length encoding")
    ends = np.flatnonzero((codes & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    digits = ends - starts + 1
    if np.any(digits > _LONGEST_NUMBER):
        raise ValueError("its run lengths are longer than any image")
    if not len(ends):
        return np.zeros(0, np.int64)
    place = np.arange(len(codes)) - np.repeat(starts, digits)
    numbers = np.add.reduceat((codes & 31) << 5 * place, starts)
    numbers -= np.where(codes[ends] & 16, 1 << 5 * digits, 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def decode_crop(runs: NDArray[np.int64], image_size: tuple[int, int], window: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Pixels of a window of a mask, without making the rest of it.

    Args:
        runs: What `runs_of` gave.
        image_size: (height, width) of the image.
        window: Left, top, right and bottom edges in whole pixels, within the image, the last two exclusive.

    Returns:
        bool [bottom-top, right-left].
    """
    height = image_size[0]
    left, top, right, bottom = window
    ends = np.clip(np.cumsum(runs), left * height, right * height)
    lengths = np.diff(ends, prepend=left * height)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, lengths)
    return inside.reshape(right - left, height).T[top:bottom]
