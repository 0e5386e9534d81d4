"""The project's own JSON format: writes and reads one image's detections without loss."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.file_names import on_one_line
from detection_core.formats.errors import ResultsFormatError
from detection_core.formats.json_writing import shortest
from detection_core.formats.provenance import Provenance

FORMAT = "detection-explorer 1"
# Soft masks hardly compress: a higher level would save 2 % in four times the time.
_COMPRESSION = 1
_LARGEST_GRID = 1024
# In pixels; resampling a mask takes memory in proportion to its box's sides.
_FARTHEST = 100_000
_LONGEST_REASON = 200
_SURROGATES = re.compile("[\ud800-\udfff]")


def to_json(
    detections: Detections, *, file_name: str | None = None, provenance: Provenance | None = None, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Converts one image's detections to plain types, from which `from_json` restores exactly the same detections.

    Args:
        detections: The result.
        file_name: Name of the image, or None to leave it out.
        provenance: Provenance of the result, or None to leave it out.
        notes: Sentences about the image, for example that its file is cut off; without any, the field is left out.

    Returns:
        `format`, `file_name`, `model`, `width`, `height`, `summary`, `notes`, `provenance`, `categories`, `category_ids` (if the model
        has any of its own), `keypoint_names` (null without keypoints), `mask_size` (null without masks) and `objects`. Each object has
        `label`, `class_id` (its place in `categories`), `score`, `box` (XYXY pixels) and, where the model predicts them, `keypoints`
        (name → x, y, logit `score`; null for an object without any), `whole_score` (for an image in slices: the object's score in the whole
        image, 0 if only slices found it), `polygons` (rings of [x, y], even-odd rule, rounded to 0.01
        pixels) and `mask_grid`, the soft mask itself: `mask_size`² little-endian float32 values over the box, row by row, deflated
        (zlib), in Base64.
    """
    height, width = detections.image_size
    return {
        "format": FORMAT,
        **({} if file_name is None else {"file_name": file_name}),
        "model": detections.model,
        "width": width,
        "height": height,
        "summary": detections.describe(),
        **({"notes": list(notes)} if notes else {}),
        **({} if provenance is None else {"provenance": provenance.to_json()}),
        "categories": list(detections.categories),
        **({"category_ids": list(detections.category_ids)} if detections.category_ids else {}),
        "keypoint_names": None if detections.keypoints is None else list(detections.keypoint_names),
        "mask_size": None if detections.masks is None else detections.masks.shape[1],
        "objects": [_object(detections, index, has_keypoints) for index, has_keypoints in enumerate(detections.has_keypoints)],
    }


def _object(detections: Detections, index: int, has_keypoints: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "label": detections.names[index],
        "class_id": int(detections.labels[index]),
        "score": shortest(detections.scores[index]),
        "box": [shortest(value) for value in detections.boxes[index]],
    }
    if detections.masks is not None:
        entry["polygons"] = [np.round(ring.astype(float), 2).tolist() for ring in detections.polygons(index)]
        entry["mask_grid"] = _packed(detections.masks[index])
    if detections.keypoints is not None:
        entry["keypoints"] = _keypoints(detections, index) if has_keypoints else None
    if detections.whole_scores is not None:
        entry["whole_score"] = shortest(detections.whole_scores[index])
    return entry


def _keypoints(detections: Detections, index: int) -> dict[str, dict[str, float]]:
    assert detections.keypoints is not None
    assert detections.keypoint_scores is not None
    keypoints = zip(detections.keypoint_names, detections.keypoints[index], detections.keypoint_scores[index], strict=True)
    return {name: {"x": shortest(x), "y": shortest(y), "score": shortest(score)} for name, (x, y), score in keypoints}


def _packed(grid: NDArray[np.float32]) -> str:
    return base64.b64encode(zlib.compress(grid.astype("<f4").tobytes(), _COMPRESSION)).decode("ascii")


def from_json(data: Any) -> Detections:
    """Reads the output of `to_json`; boxes, scores, masks and keypoints are restored bit for bit.

    Args:
        data: The JSON object.

    Raises:
        ResultsFormatError: If the data has another format or is damaged.
    """
    _check_header(data)
    names, size = data["keypoint_names"], data["mask_size"]
    n = len(data["objects"])
    boxes, labels, scores = np.zeros((n, 4), np.float32), np.zeros(n, np.int64), np.zeros(n, np.float32)
    masks: list[NDArray[np.float32]] = []
    whole_scores = np.full(n, np.nan, np.float32)
    points = None if names is None else np.full((n, len(names), 3), np.nan, np.float32)
    for index, entry in enumerate(data["objects"]):
        try:
            with np.errstate(over="ignore"):  # Values that are too large become infinite, which is refused below.
                boxes[index], labels[index], scores[index] = entry["box"], entry["class_id"], entry["score"]
                if "whole_score" in entry:
                    whole_scores[index] = entry["whole_score"]
            if not np.abs(boxes[index]).max() <= _FARTHEST:
                raise ValueError("its box is larger than any image")
            if size is not None:
                masks.append(_unpacked(entry["mask_grid"], size))
            if points is not None and entry["keypoints"] is not None:
                keypoints = [[entry["keypoints"][name][value] for value in ("x", "y", "score")] for name in names]
                with np.errstate(over="ignore"):
                    points[index] = np.array(keypoints, np.float32).reshape(points[index].shape)
                if not np.isfinite(points[index]).all():
                    raise ValueError("a keypoint is not finite")
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
            raise ResultsFormatError(f"objects[{index}] cannot be read: {type(error).__name__} ({_shortened(error)}).") from error
    try:
        return Detections(
            boxes=boxes,
            labels=labels,
            scores=scores,
            image_size=(data["height"], data["width"]),
            categories=tuple(data["categories"]),
            masks=None if size is None else np.array(masks, np.float32).reshape(n, size, size),
            keypoints=None if points is None else points[..., :2],
            keypoint_scores=None if points is None else points[..., 2],
            keypoint_names=tuple(names or ()),
            model=data["model"],
            category_ids=tuple(data.get("category_ids", ())),
            whole_scores=None if np.isnan(whole_scores).all() else whole_scores,
        )
    except ValueError as error:
        raise ResultsFormatError(f"The result is not consistent: {_shortened(error)}.") from error


def _shortened(error: Exception) -> str:
    """An error's text, which may contain any of the file's."""
    text = on_one_line(str(error))
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _check_header(data: Any) -> None:
    """Checks all fields except the contents of `objects`."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ResultsFormatError(f"This is not a result in the format “{FORMAT}”: its “format” differs.")
    size, names = data.get("mask_size"), data.get("keypoint_names")
    right = {
        "model": (_are_texts([data.get("model")]), "a text in valid Unicode"),
        "objects": (isinstance(data.get("objects"), list), "a list"),
        "categories": (_are_texts(data.get("categories")), "a list of texts in valid Unicode"),
        "category_ids": (_are_whole_numbers(data.get("category_ids", [])), "a list of whole numbers"),
        "keypoint_names": ("keypoint_names" in data and (names is None or _are_texts(names)), "a list of texts in valid Unicode, or null"),
        "mask_size": ("mask_size" in data and (size is None or _is_whole(size, _LARGEST_GRID)), f"from 1 to {_LARGEST_GRID}, or null"),
        "width": (_is_whole(data.get("width"), _FARTHEST), f"a whole number from 1 to {_FARTHEST:,}"),
        "height": (_is_whole(data.get("height"), _FARTHEST), f"a whole number from 1 to {_FARTHEST:,}"),
    }
    for key, (is_right, kind) in right.items():
        if not is_right:
            raise ResultsFormatError(f"“{key}” must be {kind}.")


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _are_texts(value: Any) -> bool:
    # JSON can hold halves of surrogate pairs, which no file and no page can.
    return isinstance(value, list) and all(isinstance(item, str) and not _SURROGATES.search(item) for item in value)


def _are_whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)


def _unpacked(text: str, size: int) -> NDArray[np.float32]:
    expected = 4 * size * size
    try:
        # Limited to the expected size: a small file may contain gigabytes of compressed zeros.
        raw = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), expected + 1)
    except binascii.Error as error:
        raise ValueError(f"mask_grid: {error}") from error
    if len(raw) != expected:
        raise ValueError(f"mask_grid does not have {size}×{size} values")
    return np.frombuffer(raw, "<f4").reshape(size, size)
