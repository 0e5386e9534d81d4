"""Saliency: which pixels a detection rests on, measured for any detector by hiding random parts of the image (D-RISE).

Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps", CVPR 2021.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix

# Side in cells of the random grids, and the share of visible cells; as in the paper.
GRID = 16
_VISIBLE = 0.5

Detect = Callable[[NDArray[np.uint8]], Detections]


class SaliencyCancelled(Exception):  # noqa: N818
    """The caller no longer wants the map."""


@dataclass(frozen=True)
class SaliencyProgress:
    """How far the computation is.

    Attributes:
        done: Runs of the model that are done.
        total: All runs.
        seconds_left: Estimate from the runs so far.
    """

    done: int
    total: int
    seconds_left: float


def drise(
    image: NDArray[np.uint8],
    detect: Detect,
    box: tuple[float, float, float, float],
    label: int,
    *,
    masks: int = 500,
    grid: int = GRID,
    seed: int = 0,
    on_progress: Callable[[SaliencyProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.float32]:
    """Computes how much each pixel supports a detection.

    Each mask hides half of the image behind its mean color; the map is the average of the masks, each weighted by how well the model still
    finds the object: the best product of score and IoU among its detections of the same class. The model runs once per mask.

    Args:
        image: RGB uint8 [H,W,3].
        detect: Finds objects in such an image, down to a low score.
        box: The object's box, XYXY in pixels.
        label: Its class.
        masks: Number of masks; more make the map smoother.
        grid: Cells of a mask along the longer side; smaller objects need more.
        seed: Seed of the masks.
        on_progress: Called after each run.
        cancelled: Asked before each run whether the caller has lost interest.

    Returns:
        float32 [H,W] in 0–1; all 0 if the model never found the object.

    Raises:
        SaliencyCancelled: If `cancelled` said so.
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    gray = image.mean(axis=(0, 1))
    total, visible = np.zeros((height, width)), np.zeros((height, width))
    started = time.perf_counter()
    for done in range(masks):
        if cancelled is not None and cancelled():
            raise SaliencyCancelled
        mask = _random_mask(rng, height, width, grid)
        masked = (image * mask[..., None] + gray * (1 - mask[..., None])).astype(np.uint8)
        total += similarity(detect(masked), box, label) * mask
        visible += mask
        if on_progress is not None:
            mean = (time.perf_counter() - started) / (done + 1)
            on_progress(SaliencyProgress(done + 1, masks, mean * (masks - done - 1)))
    # Divided by how often each pixel was visible, so that chance in the masks does not show.
    heat = total / np.maximum(visible, 1e-6)
    spread = heat.max() - heat.min()
    return np.asarray((heat - heat.min()) / spread if spread else np.zeros_like(heat), np.float32)


def similarity(found: Detections, box: tuple[float, float, float, float], label: int) -> float:
    """Returns how well a result contains an object: the best product of score and IoU among detections of its class."""
    same = found[found.labels == label]
    return float((iou_matrix([box], same.boxes)[0] * same.scores).max()) if len(same) else 0.0


def faithfulness(
    image: NDArray[np.uint8],
    detect: Detect,
    box: tuple[float, float, float, float],
    label: int,
    heat: NDArray[np.float32],
    *,
    steps: int = 10,
) -> tuple[float, float]:
    """Measures a saliency map: what remains of the object as the most salient pixels are deleted, and as they alone are inserted.

    Args:
        image: RGB uint8 [H,W,3].
        detect: As for `drise`.
        box: The object's box.
        label: Its class.
        heat: float [H,W].
        steps: Steps; the model runs twice for each.

    Returns:
        The mean similarity during deletion (the lower, the better the map) and during insertion (the higher, the better).
    """
    gray = np.broadcast_to(image.mean(axis=(0, 1)).astype(np.uint8), image.shape)
    order = np.argsort(-heat, axis=None, kind="stable")
    deletion, insertion = [], []
    for step in range(1, steps + 1):
        salient = np.zeros(heat.size, bool)
        salient[order[: round(heat.size * step / (steps + 1))]] = True
        chosen = salient.reshape(heat.shape)[..., None]
        deletion.append(similarity(detect(np.where(chosen, gray, image)), box, label))
        insertion.append(similarity(detect(np.where(chosen, image, gray)), box, label))
    return float(np.mean(deletion)), float(np.mean(insertion))


def _random_mask(rng: np.random.Generator, height: int, width: int, grid: int) -> NDArray[np.float32]:
    """Returns a smooth random mask [H,W] in 0–1: a coarse binary grid, enlarged and shifted by a random part of a cell."""
    cell = max(height, width) / grid
    rows, columns = int(np.ceil(height / cell)) + 1, int(np.ceil(width / cell)) + 1
    coarse = (rng.random((rows, columns)) < _VISIBLE).astype(np.float32)
    left, top = rng.random(2)
    area = (left, top, left + width / cell, top + height / cell)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR, box=area), np.float32)
