"""COCO's run-length encoding of masks: written by pycocotools, but read here, because files from other tools cannot be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.detections import Detections

# A run is shorter than 2³¹ pixels: seven characters of five bits.
_LONGEST_NUMBER = 7


def encode(detections: Detections) -> Iterator[dict[str, Any]]:
    """Yields each object's mask as compressed run-length encoding of the whole image, in plain types for JSON."""
    for crop, (x, y) in detections.mask_crops():
        full = np.zeros(detections.image_size, np.uint8, order="F")
        full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        encoded = coco_mask.encode(full)
        yield {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def area_of(run: dict[str, Any]) -> float:
    """Returns the number of pixels in a mask from `encode`."""
    return float(coco_mask.area(run))


def runs_of(counts: str | list[Any], pixels: int) -> NDArray[np.int64]:
    """Returns the lengths of a mask's runs, column by column, alternating between background and object, starting with background.

    It does not use pycocotools, which reads beyond the end of a damaged text, and writes beyond the mask if runs are too long.

    Args:
        counts: Compressed text, or the plain list.
        pixels: Number of pixels in the image, which must equal the sum of the runs.

    Raises:
        ValueError: If the runs cannot be read or do not add up.
    """
    if isinstance(counts, list):
        if not all(isinstance(count, int) and 0 <= count <= pixels for count in counts):
            raise ValueError("its run lengths are not integers within the image")
        runs = np.array(counts, np.int64)
    else:
        runs = _uncompressed(counts)
    if np.any(runs < 0) or np.any(runs > pixels) or int(runs.sum()) != pixels:
        raise ValueError(f"its run lengths do not add up to the image's {pixels:,} pixels")
    return runs


def _uncompressed(text: str) -> NDArray[np.int64]:
    """Decodes numbers of 5 bits per character, offset by "0"; bit 6 means that more follow. From the 4th on, they are differences."""
    try:
        codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - ord("0")
    except UnicodeEncodeError:
        codes = np.array([-1])
    if np.any((codes < 0) | (codes > 63)) or (len(codes) and codes[-1] & 32):
        raise ValueError("its run lengths are not a compressed run-length encoding")
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
    """Decodes a window of a mask, without the rest of it.

    Args:
        runs: Run lengths from `runs_of`.
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
