"""Makes videos in which things move, and a detector that finds them by their colors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from detection_core.detections import Detections
from detection_core.video import FrameResults, TrackedFrame
from detection_core.video.io import open_video
from tests.factories import COCO_KEYPOINT_NAMES
from tests.video.io.videos import make_video

SIZE = (96, 64)
CATEGORIES = ("__background__", "red thing", "blue thing")
MODEL = "finds_colors"
_SCORES = (0.9, 0.6)


def scene(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A red thing that goes right below and a blue one that goes left above, on gray; uint8 [H,W,3]."""
    image = np.full((size[1], size[0], 3), 128, np.uint8)
    image[36:58, 4 + 2 * index : 20 + 2 * index] = (230, 20, 20)
    image[6:26, max(0, 70 - 2 * index) : max(0, 90 - 2 * index)] = (20, 20, 230)
    return image


def make_scene(path: Path, frames: int = 12, **how) -> Path:
    """Writes a video of the scene; see `make_video`."""
    return make_video(path, frames, **{"size": SIZE, "draw": scene, **how})


class Finder:
    """Finds the things by their colors, and something doubtful in the corner; counts how often it is asked.

    `keypoints` may be the labels whose objects have some.
    """

    def __init__(self, *, masks: bool = False, keypoints: bool | Collection[int] = False) -> None:
        self.calls = 0
        self._masks, self._keypoints = masks, keypoints

    def __call__(self, image: Image.Image) -> Detections:
        self.calls += 1
        pixels = np.asarray(image).astype(int)
        found = [(box, label, score) for label, score in zip((1, 2), _SCORES, strict=True) if (box := _box_of(pixels, label))]
        found.append(([0, 0, 5, 5], 2, 0.04))
        n = len(found)
        points, logits = np.full((n, 17, 2), 7.25, np.float32), np.full((n, 17), 8, np.float32)
        if not isinstance(self._keypoints, bool):
            without = [label not in self._keypoints for _, label, _ in found]
            points[without], logits[without] = np.nan, np.nan
        return Detections(
            np.array([box for box, _, _ in found], np.float32),
            np.array([label for _, label, _ in found]),
            np.array([score for _, _, score in found], np.float32),
            (image.height, image.width),
            CATEGORIES,
            masks=np.full((n, 28, 28), 0.75, np.float32) if self._masks else None,
            keypoints=points if self._keypoints else None,
            keypoint_scores=logits if self._keypoints else None,
            keypoint_names=tuple(COCO_KEYPOINT_NAMES) if self._keypoints else (),
            model=MODEL,
        )


def _box_of(pixels: np.ndarray, label: int) -> list[int] | None:
    channel = {1: 0, 2: 2}[label]
    is_it = (pixels[..., channel] > 160) & (pixels[..., 2 - channel] < 90)
    rows, columns = np.flatnonzero(is_it.any(axis=1)), np.flatnonzero(is_it.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else None


def records_of(path: Path, finder: Finder | None = None, **choice: float) -> FrameResults:
    """What the finder finds in a video."""
    finder = finder or Finder()
    records = FrameResults(open_video(path))
    for frame in records.video.frames(**choice):
        records.append(frame.index, frame.time_s, finder(Image.fromarray(frame.image)))
    return records


def facts(frame: TrackedFrame) -> tuple:
    """A frame as plain values that can be compared."""
    ids = None if frame.ids is None else frame.ids.tolist()
    return frame.index, frame.time_s, frame.detections.names, frame.detections.boxes.tolist(), ids


def frames_of(path: Path) -> list[np.ndarray]:
    """All images of a video."""
    return [frame.image for frame in open_video(path).frames()]
