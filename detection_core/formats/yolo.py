"""Writes YOLO label files for Ultralytics, with boxes, polygons or keypoints: one text file per image and a `data.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.detections.coco_names import UNUSED
from detection_core.formats.coco import visibility
from detection_core.formats.result import ImageResult
from detection_core.formats.target import Target
from detection_core.visualization import AnnotationStyle

# YAML 1.2, c-printable, without line breaks, the byte-order mark, quotes and the backslash.
_ESCAPED_IN_YAML = re.compile("[^ !#-\\[\\]-~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

YoloTask = Literal["detect", "segment", "pose"]


class YoloWriter:
    """Writes `yolo_TASK/labels/STEM.txt` for each image, empty where nothing was found, and `yolo_TASK/data.yaml`.

    For poses, only objects with keypoints are written. Classes are numbered from 0 in the order of the model's labels, without COCO's
    unused ids, which results in COCO's usual 80 classes.
    """

    def __init__(self, task: YoloTask, target: Target, style: AnnotationStyle) -> None:
        self._task = task
        self._target = target
        self._keypoint_threshold = style.keypoint_threshold
        self._classes: dict[str, int] = {}
        self._keypoints: tuple[str, ...] = ()

    def add(self, result: ImageResult, stem: str) -> None:
        """Writes one image's labels."""
        found = result.detections
        occurring = set(found.names)
        for label, name in enumerate(found.categories):
            if name in occurring or (label and name != UNUSED):
                self._classes.setdefault(name, len(self._classes))
        self._keypoints = self._keypoints or found.keypoint_names
        # All rows of a label file must have the same length.
        chosen = np.flatnonzero(found.has_keypoints).tolist() if self._task == "pose" else range(len(found))
        lines = [" ".join([str(self._classes[found.names[index]]), *self._numbers(found, index)]) for index in chosen]
        self._target.write(f"yolo_{self._task}/labels/{stem}.txt", "".join(line + "\n" for line in lines).encode())

    def _numbers(self, found: Detections, index: int) -> Iterable[str]:
        size = np.array(found.image_size[::-1], float)
        if self._task == "segment":
            return _fractions(_outline(found, index) / size)
        corners = np.clip(found.boxes[index].astype(float).reshape(2, 2) / size, 0, 1)
        box = _fractions(np.stack([corners.mean(axis=0), corners[1] - corners[0]]))
        if self._task == "detect":
            return box
        assert found.keypoints is not None
        assert found.keypoint_scores is not None
        flags = visibility(found.keypoint_scores[index], self._keypoint_threshold)
        points = zip(found.keypoints[index].astype(float) / size, flags, strict=True)
        return [*box, *(text for point, flag in points for text in (*_fractions(point), str(flag)))]

    def finish(self) -> list[str]:
        """Writes `data.yaml`."""
        lines = ["# Put the images into images/, beside labels/.", "train: images", "val: images", f"nc: {len(self._classes)}", "names:"]
        lines += [f"  {number}: {_quoted(name)}" for name, number in self._classes.items()]
        if self._task == "pose":
            lines += [
                f"kpt_shape: [{len(self._keypoints)}, 3]",
                f"flip_idx: {[_mirrored(self._keypoints, name) for name in self._keypoints]}",
            ]
        self._target.write(f"yolo_{self._task}/data.yaml", "".join(line + "\n" for line in lines).encode())
        return []


def _quoted(text: str) -> str:
    """Writes a text as a YAML string in double quotes, with escapes for characters that YAML does not allow as they are."""
    return f'"{_ESCAPED_IN_YAML.sub(lambda found: _escape(ord(found.group())), text)}"'


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _outline(found: Detections, index: int) -> NDArray[np.float64]:
    """Returns one polygon, [P,2] in pixels; the box's if the mask is too small to have one."""
    if rings := found.polygons(index):
        return joined(rings).astype(float)
    x0, y0, x1, y1 = found.boxes[index].astype(float)
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _fractions(values: NDArray[np.float64]) -> list[str]:
    """Formats numbers, clipped to 0–1 because Ultralytics refuses others. Eight digits keep a thousandth of a pixel."""
    return [f"{value:.8f}".rstrip("0").rstrip(".") for value in np.clip(values, 0, 1).ravel()]


def _mirrored(names: tuple[str, ...], name: str) -> int:
    """Returns the index of the keypoint that a keypoint becomes when the image is flipped."""
    partner = name.replace("left", "right") if "left" in name else name.replace("right", "left")
    return names.index(partner if partner in names else name)


def joined(rings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Joins rings by bridges of no width at their nearest points, as Ultralytics' `merge_multi_segment` does.

    Args:
        rings: At least one, float32 [P,2] each; holes are rings too.

    Returns:
        float32 [P,2]; filled with the even-odd rule, it covers the same area as the rings.
    """
    whole: NDArray[np.float32]
    whole, *others = sorted(rings, key=len, reverse=True)
    for ring in others:
        distance = ((whole[:, None] - ring[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(int(distance.argmin()), distance.shape)
        loop = np.concatenate([ring[there:], ring[: there + 1]])
        whole = np.concatenate([whole[: here + 1], loop, whole[here:]])
    return whole
