"""Makers of small, realistic test objects."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from detection_core.detections import Detections

COCO_KEYPOINT_NAMES = [
    "nose",
    *(
        f"{side}_{keypoint}"
        for keypoint in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
]
# A standing person in a unit box: (x, y) of the 17 keypoints, the person's left on the image's right.
_STANDING = np.array(
    [[.50, .08], [.54, .06], [.46, .06], [.58, .08], [.42, .08], [.68, .22], [.32, .22], [.78, .38], [.22, .38],
     [.80, .52], [.20, .52], [.60, .54], [.40, .54], [.60, .74], [.40, .74], [.60, .95], [.40, .95]], np.float32)  # fmt: skip


def make_detections(
    n: int = 3,
    *,
    image_size: tuple[int, int] = (480, 640),
    masks: bool = False,
    keypoints: bool | Collection[int] = False,
    categories: tuple[str, ...] = ("__background__", "person", "dog", "car"),
    labels: list[int] | None = None,
    seed: int = 0,
    model: str = "",
) -> Detections:
    """`n` objects at random places with falling scores; masks are smooth blobs and skeletons stand upright.

    `keypoints` may be the labels whose objects have a skeleton; the others then have NaN for theirs.
    """
    rng = np.random.default_rng(seed)
    height, width = image_size
    size = rng.uniform(0.15, 0.45, (n, 2)) * (width, height)
    corner = rng.uniform(0, 1, (n, 2)) * ((width, height) - size)
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    grid = np.linspace(-1, 1, 28)
    blob = 1 / (1 + np.exp(-8 * (0.8 - np.hypot(*np.meshgrid(grid, grid)))))
    labels = labels if labels is not None else [1 + i % (len(categories) - 1) for i in range(n)]
    points, logits = (corner[:, None] + _STANDING[None] * size[:, None]).astype(np.float32), np.full((n, 17), 8, np.float32)
    if not isinstance(keypoints, bool):
        without = ~np.isin(labels, list(keypoints))
        points[without], logits[without] = np.nan, np.nan
    gives_keypoints = keypoints is not False
    return Detections(
        boxes=boxes,
        labels=np.array(labels, np.int64),
        scores=np.linspace(0.95, 0.1, n, dtype=np.float32),
        image_size=image_size,
        categories=categories,
        masks=np.stack([blob.astype(np.float32)] * n) if masks and n else (np.zeros((0, 28, 28), np.float32) if masks else None),
        keypoints=points if gives_keypoints else None,
        keypoint_scores=logits if gives_keypoints else None,
        keypoint_names=tuple(COCO_KEYPOINT_NAMES) if gives_keypoints else (),
        model=model,
    )
