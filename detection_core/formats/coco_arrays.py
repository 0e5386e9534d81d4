"""Puts the masks and keypoints of a COCO file's entries together as arrays."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.formats.coco_entry import Entry
from detection_core.formats.coco_file import CocoFile
from detection_core.formats.coco_values import fit_to_show
from detection_core.formats.errors import InvalidEntryError, ResultsFormatError
from detection_core.formats.mask_fit import grid_of_polygons, grid_of_runs, grid_pixels

# Size of the soft masks: that of an accurate model, or smaller if there are very many objects.
_GRID, _SMALL_GRID, _MANY = 56, 28, 1000
_MOST_MASK_PIXELS = 500_000_000
# Other tools' keypoints have a flag or a probability; logits beyond this limit add nothing.
_SURE = 10.0


def with_same_keypoints(found: list[Entry], errors: list[InvalidEntryError], skip_invalid: bool) -> list[Entry]:
    """Returns the entries with as many keypoints as most of them have, or with none.

    Args:
        found: The entries.
        errors: Gets the errors of the others.
        skip_invalid: Whether the others are skipped.

    Raises:
        InvalidEntryError: If there are others, and they are not skipped.
    """
    counts = Counter(len(entry.keypoints) for entry in found if entry.keypoints is not None)
    if len(counts) < 2:
        return found
    usual = counts.most_common(1)[0][0]
    right = next(entry for entry in found if entry.keypoints is not None and len(entry.keypoints) == usual)
    wrong = [entry for entry in found if entry.keypoints is not None and len(entry.keypoints) != usual]
    new_errors = [
        InvalidEntryError(
            f"{entry.place} has {len(entry.keypoints)} keypoints and {right.place} has {usual}; all objects must have the same keypoints."
        )
        for entry in wrong
        if entry.keypoints is not None
    ]
    if not skip_invalid:
        raise new_errors[0]
    errors += new_errors
    return [entry for entry in found if entry not in wrong]


def masks_of(found: list[Entry], image_size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Returns soft masks [N,M,M], empty for an object without one; None if no object has any.

    Raises:
        ResultsFormatError: If the masks have too many pixels.
    """
    if not any(entry.runs is not None or entry.polygons for entry in found):
        return None
    size = _GRID if len(found) <= _MANY else _SMALL_GRID
    masks = np.zeros((len(found), size, size), np.float32)
    pixels = sum(grid_pixels(entry.box, image_size, size) for entry in found if entry.runs is not None)
    if pixels > _MOST_MASK_PIXELS:
        raise ResultsFormatError(f"The boxes of all masks have {pixels:,} pixels together; at most {_MOST_MASK_PIXELS:,} are read.")
    for index, entry in enumerate(found):
        box = np.array(entry.box, np.float32)
        if entry.runs is not None:
            masks[index] = grid_of_runs(entry.runs, box, image_size, size)
        elif entry.polygons:
            masks[index] = grid_of_polygons(entry.polygons, box, size)
    return masks


def keypoints_of(found: list[Entry]) -> NDArray[np.float32] | None:
    """Returns keypoints [N,K,3] with logits, NaN for an object without any; None if no object has any."""
    count = next((len(entry.keypoints) for entry in found if entry.keypoints is not None), None)
    if count is None:
        return None
    keypoints = np.full((len(found), count, 3), np.nan, np.float32)
    for index, entry in enumerate(found):
        if entry.keypoints is not None:
            keypoints[index] = entry.keypoints
            keypoints[index, :, 2] = _logits(entry.keypoints[:, 2]) if entry.logits is None else entry.logits
    return keypoints


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.clip(np.log(kept / (1 - kept)), -_SURE, _SURE)


def keypoint_names(file: CocoFile, count: int) -> tuple[str, ...]:
    """Returns the file's names of so many keypoints, or COCO's, or numbers."""
    for keypoints in file.keypoint_names:
        if len(keypoints) == count:
            names = tuple(fit_to_show(str(keypoint)) for keypoint in keypoints)
            if len(set(names)) == count:
                return names
    return COCO_KEYPOINTS if count == len(COCO_KEYPOINTS) else tuple(f"keypoint {number}" for number in range(1, count + 1))
