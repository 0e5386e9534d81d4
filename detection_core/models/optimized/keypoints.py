"""Finds keypoints in heat maps, which are enlarged by two small matrix products instead of pixel by pixel.

torchvision enlarges each of an object's maps to the size of its box with bicubic interpolation, and takes the highest pixel. This
interpolation is separable: rows · map · columns, with matrices that have four numbers in each row. Reference: Keys, "Cubic convolution
interpolation for digital image processing" (1981), with torch's coefficient of -0.75.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

_COEFFICIENT = -0.75
# Enlarged values per step: 4 MiB fit in a core's cache, and memory does not grow with the box.
_BLOCK = 1 << 20


def heatmaps_to_keypoints(maps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the same as `torchvision.models.detection.roi_heads.heatmaps_to_keypoints`.

    Args:
        maps: float32 [N,K,H,W], a heat map per object and keypoint.
        boxes: float32 [N,4], XYXY in pixels.

    Returns:
        Keypoints float32 [N,K,3], x and y in pixels and a 1; and the maps' values there, float32 [N,K].
    """
    if maps.is_cuda:
        # Some hundred small products: launching one on a GPU would take longer than the CPU takes for all.
        points, scores = heatmaps_to_keypoints(maps.cpu(), boxes.cpu())
        return points.to(maps.device), scores.to(maps.device)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    pixels = sides.ceil()
    points = maps.new_ones((*maps.shape[:2], 3))
    scores = maps.new_empty(maps.shape[:2])
    for index, (width, height) in enumerate(pixels.long().tolist()):
        scores[index], points[index, :, 0], points[index, :, 1] = _highest(maps[index], height, width)
    points[..., :2] = (points[..., :2] + 0.5) * (sides / pixels)[:, None] + boxes[:, None, :2]
    return points, scores


def _highest(maps: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns value, x and y of the highest pixel of each map [K,H,W], enlarged to (height, width)."""
    widened = maps @ _cubic_weights(maps.shape[2], width).T
    peaks = []
    top = 0
    for rows in _cubic_weights(maps.shape[1], height).split(max(_BLOCK // (len(maps) * width), 1)):
        block = rows @ widened
        value, y = block.amax(2).max(1)
        x = block[torch.arange(len(maps)), y].argmax(1)
        peaks.append(torch.stack([value, x, y + top]))
        top += len(rows)
    values, x, y = torch.stack(peaks, dim=-1)
    best = values.argmax(1, keepdim=True)
    return values.gather(1, best)[:, 0], x.gather(1, best)[:, 0], y.gather(1, best)[:, 0]


@lru_cache(maxsize=64)
def _cubic_weights(source: int, target: int) -> Tensor:
    """Returns the weights [target, source] of `interpolate(mode="bicubic", align_corners=False)` along one axis."""
    position = (torch.arange(target) + 0.5) * torch.tensor(source / target) - 0.5
    lower = position.floor()
    fraction = position - lower
    weights = torch.stack(
        [_outer_weight(fraction + 1), _inner_weight(fraction), _inner_weight(1 - fraction), _outer_weight(2 - fraction)], dim=1
    )
    index = (lower.long()[:, None] + torch.arange(-1, 3)).clamp(0, source - 1)
    return torch.zeros(target, source).scatter_add_(1, index, weights)


def _inner_weight(distance: Tensor) -> Tensor:
    """Returns the weight of a pixel at a distance of at most one."""
    return ((_COEFFICIENT + 2) * distance - (_COEFFICIENT + 3)) * distance * distance + 1


def _outer_weight(distance: Tensor) -> Tensor:
    """Returns the weight of a pixel at a distance between one and two."""
    return ((distance - 5) * distance + 8) * distance * _COEFFICIENT - 4 * _COEFFICIENT
